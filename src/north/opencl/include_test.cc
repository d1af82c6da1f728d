// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/include.h"

#include <gtest/gtest.h>

#include <map>

namespace amalgam::opencl {
namespace {

/// Files that are only in the test.
struct Files {
  std::map<std::string, std::string> texts;
  ReadFile reader() const {
    return [this](const std::string& path, std::string& text) {
      auto found = texts.find(path);
      if (found != texts.end()) text = found->second;
      return found != texts.end();
    };
  }
};

std::string resolve(const Files& files, const std::string& source, std::string_view options,
                    const std::vector<std::string>& given = {}) {
  return resolve_includes(source, options, given, files.reader());
}

TEST(Includes, a_file_of_a_folder_takes_the_place_of_its_include) {
  Files files{{{"/inc/a.h", "int a;\n"}}};
  EXPECT_EQ(resolve(files, "#include \"a.h\"\nint b;\n", "-I /inc"),
            "#line 1 \"/inc/a.h\"\nint a;\n#line 2 \"program.cl\"\nint b;\n");
  EXPECT_EQ(resolve(files, "#include <a.h>\n", "-w -I/inc"), "#line 1 \"/inc/a.h\"\nint a;\n#line 2 \"program.cl\"\n");
}

TEST(Includes, what_is_not_found_stays) {
  Files files;
  const std::string source = "#include \"missing.h\"\nkernel void k() {}\n";
  EXPECT_EQ(resolve(files, source, "-I /inc"), source);
}

TEST(Includes, headers_that_the_driver_is_given_stay) {
  Files files{{{"/inc/a.h", "int a;\n"}}};
  EXPECT_EQ(resolve(files, "#include \"a.h\"\n", "-I /inc", {"a.h"}), "#include \"a.h\"\n");
}

TEST(Includes, comments_and_strings_are_not_directives) {
  Files files{{{"/inc/a.h", "int a;\n"}}};
  const std::string source = "/*\n#include \"a.h\"\n*/\n// #include \"a.h\"\nconstant char* s = \"/*\";\n";
  EXPECT_EQ(resolve(files, source, "-I /inc"), source);
  EXPECT_NE(resolve(files, source + "#include \"a.h\"\n", "-I /inc").find("int a;"), std::string::npos);
}

TEST(Includes, questions_for_headers_are_answered_where_there_is_one) {
  Files files{{{"/inc/a.h", "int a;\n"}}};
  EXPECT_EQ(resolve(files, "#if __has_include(\"a.h\") && !__has_include( <b.h> )\n#endif\n", "-I /inc"),
            "#if 1 && !__has_include( <b.h> )\n#endif\n");
  EXPECT_EQ(resolve(files, "#if 0\n#elif __has_include \\\n(<a.h>)\nint b;\n#endif\n", "-I /inc"),
            "#if 0\n#elif 1\n\nint b;\n#endif\n")
      << "and lines keep their numbers";
  for (const char* other : {"#if defined(__has_include)\n", "#if __has_include(\"b.h\")\n", "#if __has_include(\n",
                            "// __has_include(\"a.h\")\n"})
    EXPECT_EQ(resolve(files, other, "-I /inc"), other);
}

TEST(Includes, the_next_one_lies_behind_the_folder_of_who_asks) {
  Files files{
      {{"/one/a.h", "int one;\n#if __has_include_next(<a.h>)\n#include_next <a.h>\n#endif\n"}, {"/two/a.h", "int two;\n"}}};
  const std::string found = resolve(files, "#include <a.h>\n", "-I /one -I /two");
  EXPECT_NE(found.find("int one;\n#if 1\n"), std::string::npos) << found;
  EXPECT_NE(found.find("int two;"), std::string::npos) << found;
}

TEST(Includes, nested_files_are_found_beside_their_includer) {
  Files files{{{"/inc/sub/a.h", "#include \"b.h\"\n"}, {"/inc/sub/b.h", "int b;\n"}}};
  EXPECT_NE(resolve(files, "#include \"sub/a.h\"\n", "-I /inc").find("int b;"), std::string::npos);
}

TEST(Includes, the_working_folder_is_looked_into_last) {
  Files files{{{"a.h", "int here;\n"}, {"/inc/a.h", "int there;\n"}}};
  EXPECT_NE(resolve(files, "#include \"a.h\"\n", "").find("int here;"), std::string::npos);
  EXPECT_NE(resolve(files, "#include \"a.h\"\n", "-I /inc").find("int there;"), std::string::npos);
}

TEST(Includes, a_circle_ends) {
  Files files{{{"/inc/a.h", "#include \"b.h\"\nint a;\n"}, {"/inc/b.h", "#include \"a.h\"\nint b;\n"}}};
  const std::string text = resolve(files, "#include \"a.h\"\n", "-I /inc");
  EXPECT_EQ(text.find("int a;"), text.rfind("int a;"));
  EXPECT_NE(text.find("int b;"), std::string::npos);
}

TEST(Includes, pragma_once_becomes_a_guard) {
  Files files{{{"/inc/a.h", "#pragma once\nint a;\n"}}};
  const std::string text = resolve(files, "#include \"a.h\"\n#include \"a.h\"\n", "-I /inc");
  EXPECT_EQ(text.find("#pragma once"), std::string::npos);
  EXPECT_NE(text.find("#ifndef AMALGAM_ONCE_0"), text.rfind("#ifndef AMALGAM_ONCE_0"));
}

TEST(Includes, macros_may_spell_the_name) {
  Files files{{{"/a b/inc/x.h", "int x;\n"}, {"/inc/y.h", "int y;\n"}}};
  const std::string options = "-D STATIC -D XM2S(x)=#x -D M2S(x)=XM2S(x) -D WHERE=\"/a b/inc\" -I /inc";
  EXPECT_NE(resolve(files, "#ifdef STATIC\n#include M2S(WHERE/x.h)\n#endif\n", options).find("int x;"), std::string::npos);
  EXPECT_NE(resolve(files, "#define HEADER <y.h>\n#include HEADER\n", options).find("int y;"), std::string::npos);
}

TEST(Includes, continued_lines_keep_their_numbers) {
  Files files{{{"/inc/a.h", "int a;"}}};
  EXPECT_EQ(resolve(files, "#include \\\n\"a.h\"\nint b;\n", "-I /inc"),
            "#line 1 \"/inc/a.h\"\nint a;\n#line 3 \"program.cl\"\nint b;\n");
}

TEST(Includes, a_file_that_grows_without_end_is_bounded) {
  // Every file includes the next one twice: 2^n inclusions.
  Files files;
  for (int i = 0; i < 40; ++i) {
    const std::string next = "#include \"" + std::to_string(i + 1) + ".h\"\n";
    files.texts["/inc/" + std::to_string(i) + ".h"] = next + next;
  }
  EXPECT_FALSE(resolve(files, "#include \"0.h\"\n", "-I /inc").empty());
}

TEST(Includes, options_are_cut_as_a_shell_would) {
  EXPECT_EQ(split_options("-I \"a b\"  -DX='1 2' -D Y=a\\ b"),
            (std::vector<std::string>{"-I", "a b", "-DX=1 2", "-D", "Y=a b"}));
  EXPECT_TRUE(split_options("  ").empty());
}

}  // namespace
}  // namespace amalgam::opencl
