# SPDX-License-Identifier: Apache-2.0
import unittest

import check_words


class Words(unittest.TestCase):
    def test_words_and_paths_are_found(self):
        for line in ("a whitelist of calls", "we utilize it", "// TODO later", "see /root/x", "in /home/alice/src", "cd /work/x"):
            self.assertEqual(len(check_words.check_file("a.md", line)), 1, line)

    def test_innocent_lines_pass(self):
        for line in ("use it", "network/x", "$HOME/work/x", "a framework/root/x", "kTODOs", "/usr/lib", "${PREFIX}/work/x"):
            self.assertEqual(check_words.check_file("a.md", line), [], line)


if __name__ == "__main__":
    unittest.main()
