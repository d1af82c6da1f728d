# SPDX-License-Identifier: Apache-2.0
import unittest

import check_sizes

CODE = """
namespace a {
struct S {
  int x = 1;
  S() : x{2}, y(3) {
    go();
  }
  // a brace in a comment { and "a string }
  bool f(int a) const { return a == '{'; }
};
/* } */ static const char* kText = R"x( } )" { )x";
#define M(x) { x
int g(
    int b) {
  auto l = [&](int c) {
    if (c) {
      return 1'000;
    }
    return 2;
  };
  return l(b);
}
}  // namespace a
"""


class Sizes(unittest.TestCase):
    def test_finds_functions_and_their_lengths(self):
        lengths = dict(check_sizes.functions(CODE))
        self.assertEqual(lengths[13], 10)
        self.assertEqual(lengths[9], 1)
        self.assertNotIn(2, lengths)
        self.assertNotIn(3, lengths)

    def test_long_functions_and_files_are_named(self):
        body = "  go();\n" * 70
        self.assertEqual(len(check_sizes.check_file("a.cc", "void f() {\n" + body + "}\n")), 1)
        self.assertEqual(check_sizes.check_file("a.cc", "void f() {\n" + body[: 68 * 8] + "}\n"), [])
        self.assertEqual(len(check_sizes.check_file("a.py", "x = 1\n" * 801)), 1)


if __name__ == "__main__":
    unittest.main()
