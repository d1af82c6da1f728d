# SPDX-License-Identifier: Apache-2.0
import unittest

import new_device


class Rename(unittest.TestCase):
    def test_names_change(self):
        for before, after in (
            ("namespace amalgam::south::null {", "namespace amalgam::south::level_zero {"),
            ("make_null_backend() { return std::make_unique<null::NullBackend>(); }",
             "make_level_zero_backend() { return std::make_unique<level_zero::LevelZeroBackend>(); }"),
            ("amalgam_module(south_null DEPS south_device)", "amalgam_module(south_level_zero DEPS south_device)"),
            ('#include "south/device/null/null.h"', '#include "south/device/level_zero/level_zero.h"'),
            ('return "null";', 'return "level_zero";'),
        ):
            self.assertEqual(new_device.rename(before, "level_zero"), after)

    def test_the_common_word_stays(self):
        for text in ("may be null, or nullptr", "std::nullopt", "if null: nothing".replace("null:", "null,"), "/dev/null is empty"):
            self.assertEqual(new_device.rename(text, "x"), text)


if __name__ == "__main__":
    unittest.main()
