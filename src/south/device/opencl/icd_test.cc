// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/icd.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace amalgam::south::opencl {
namespace {

namespace fs = std::filesystem;

class IcdTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/amalgam-icd-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  void put(const std::string& file, const std::string& text) { std::ofstream(fs::path(folder_) / file) << text; }

  std::string folder_;
};

TEST_F(IcdTest, ReadsOneLibraryPerFileInNameOrder) {
  put("b.icd", "  libb.so.1 \r\n");
  put("a.icd", "/opt/vendor/liba.so");
  put("note.txt", "libnot.so");
  EXPECT_EQ(vendor_libraries({folder_}), (std::vector<std::string>{"/opt/vendor/liba.so", "libb.so.1"}));
}

TEST_F(IcdTest, LeavesOutItselfEmptyFilesAndRepeats) {
  put("amalgam.icd", "libsomething.so");
  put("other.icd", "/usr/lib/libamalgam_opencl.so");
  put("empty.icd", "\n\n");
  put("x.icd", "libx.so");
  put("y.icd", "\nlibx.so\n");
  EXPECT_EQ(vendor_libraries({folder_}), (std::vector<std::string>{"libx.so"}));
}

TEST_F(IcdTest, TakesASingleFileAndForgivesAMissingFolder) {
  put("x.icd", "libx.so");
  EXPECT_EQ(vendor_libraries({folder_ + "/x.icd", folder_ + "/none"}), (std::vector<std::string>{"libx.so"}));
}

TEST_F(IcdTest, EnvironmentChoosesTheFolders) {
  ASSERT_EQ(setenv("AMALGAM_OPENCL_VENDORS", "/one::/two", 1), 0);
  EXPECT_EQ(vendor_folders(), (std::vector<std::string>{"/one", "/two"}));
  ASSERT_EQ(unsetenv("AMALGAM_OPENCL_VENDORS"), 0);
  ASSERT_EQ(setenv("OCL_ICD_VENDORS", folder_.c_str(), 1), 0);
  EXPECT_EQ(vendor_folders(), (std::vector<std::string>{folder_}));
  ASSERT_EQ(setenv("OCL_ICD_VENDORS", "libpocl.so", 1), 0);
  EXPECT_EQ(vendor_folders(), (std::vector<std::string>{"/etc/OpenCL/vendors"}));
  ASSERT_EQ(unsetenv("OCL_ICD_VENDORS"), 0);
}

}  // namespace
}  // namespace amalgam::south::opencl
