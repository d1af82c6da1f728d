// SPDX-License-Identifier: Apache-2.0
#include "daemon/config/classes.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr uid_t kAlice = 4001;
using model::Priority;
using model::Term;

std::string complaint(const char* text) {
  Classes classes;
  auto added = classes.add(text, "x.toml");
  return added ? "" : added.error().message;
}

TEST(Classes, EveryKeyIsRead) {
  Classes classes;
  auto added = classes.add(R"(
[training]
share = "30%"
cap = "62.5%"
priority = "low"
slo = "p99=5ms"
memory = "2GiB"
users = ["root", "@root"]
[empty]
[unbounded]
cap = "none"
memory = 0
)",
                           "x.toml");
  ASSERT_TRUE(added) << added.error().message;
  const Class* training = classes.find("training");
  ASSERT_NE(training, nullptr);
  EXPECT_EQ(training->terms.terms, (model::Terms{300'000, 625'000, Priority::kLow, {990'000, 5'000'000}}));
  EXPECT_EQ(training->terms.memory_bytes, 2 * kGiB);
  EXPECT_EQ(training->users, std::vector<uid_t>{0});
  EXPECT_EQ(training->groups, std::vector<gid_t>{0});
  EXPECT_EQ(training->place, "x.toml:2:1");
  EXPECT_EQ(classes.find("empty")->terms, model::TermsPatch{});
  EXPECT_TRUE(classes.find("unbounded")->terms.gives(Term::kCap));
  EXPECT_TRUE(classes.find("unbounded")->terms.gives(Term::kMemory));
  EXPECT_FALSE(classes.find("unbounded")->terms.gives(Term::kShare));
}

TEST(Classes, ErrorsNamePlaceKeyAndRemedy) {
  EXPECT_EQ(complaint("[a]\nshar = \"30%\""), "x.toml:2:1: unknown key \"a.shar\": did you mean \"share\"?");
  EXPECT_EQ(complaint("[a]\nshare = \"130%\""),
            "x.toml:2:9: \"a.share\": between 1% and 100%, or none; give per cent such as \"30%\"");
  EXPECT_EQ(complaint("[a]\nshare = 30"), "x.toml:2:9: \"a.share\": wrong type; give per cent such as \"30%\"");
  EXPECT_EQ(complaint("[a]\npriority = \"urgent\""),
            "x.toml:2:12: \"a.priority\": one of realtime, high, normal, low, idle; give a name such as \"high\"");
  EXPECT_EQ(complaint("[a]\nshare = \"30%\"\ncap = \"10%\""),
            "x.toml:1:1: [a]: cap 10% is below share 30%; raise the cap, or lower the share");
  EXPECT_EQ(complaint("share = \"30%\""),
            "x.toml:1:9: \"share\" is outside of any class; put it below a line such as [training]");
  EXPECT_NE(complaint("[\"a b\"]").find("letters, digits"), std::string::npos);
  EXPECT_NE(complaint("[a]\nusers = []").find("empty"), std::string::npos);
  EXPECT_NE(complaint("[a]\nusers = [3]").find("must be a name"), std::string::npos);
  EXPECT_NE(complaint("[a]\nusers = [\"nobody-by-this-name\"]").find("there is no user \"nobody-by-this-name\""),
            std::string::npos);
  EXPECT_NE(complaint("[a]\nusers = [\"@nobody-by-this-name\"]").find("there is no group"), std::string::npos);
  EXPECT_NE(complaint("[a]\nmemory = \"much\"").find("not a size"), std::string::npos);
  EXPECT_NE(complaint("[a\n").find("x.toml:1:"), std::string::npos);
}

TEST(Classes, WhoMayHaveWhat) {
  Classes classes;
  ASSERT_TRUE(classes.add("[all]\n[roots]\nusers = [\"root\"]\n[group]\nusers = [\"@root\"]", "x.toml"));
  EXPECT_TRUE(classes.choose("all", kAlice, {}));
  EXPECT_TRUE(classes.choose("roots", 0, {}));
  gid_t of_root[] = {7, 0};
  EXPECT_TRUE(classes.choose("group", kAlice, of_root));
  auto refused = classes.choose("roots", kAlice, of_root);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
  EXPECT_EQ(refused.error().message, "class \"roots\" is not for user id 4001; you may have all, group");
  auto unknown = classes.choose("every", kAlice, {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kNotFound);
  EXPECT_EQ(unknown.error().message, "there is no class \"every\"; you may have all");
}

class ClassFiles : public testing::Test {
 protected:
  ClassFiles() {
    char name[] = "/tmp/amalgam-classes-XXXXXX";
    folder = ::mkdtemp(name);
  }
  ~ClassFiles() override { std::filesystem::remove_all(folder); }
  void write(const char* name, const std::string& text) const { std::ofstream(folder / name) << text; }
  std::filesystem::path folder;
};

TEST_F(ClassFiles, AllFilesOfTheFolderAreRead) {
  write("b.toml", "[b]\n[c]\n");
  write("a.toml", "[a]\n");
  write("a.toml.bak", "not even TOML");
  auto classes = Classes::load(folder);
  ASSERT_TRUE(classes) << classes.error().text();
  EXPECT_EQ(classes->size(), 3u);
}

TEST_F(ClassFiles, OneNameTwiceNamesBothPlaces) {
  write("a.toml", "[x]\n");
  write("b.toml", "\n[x]\n");
  auto classes = Classes::load(folder);
  ASSERT_FALSE(classes);
  EXPECT_NE(classes.error().message.find("a.toml:1:1"), std::string::npos) << classes.error().message;
  EXPECT_NE(classes.error().message.find("b.toml:2:1"), std::string::npos) << classes.error().message;
}

TEST_F(ClassFiles, NoFolderIsNoClassAndSaysWhereTheyWouldBe) {
  auto classes = Classes::load(folder / "absent");
  ASSERT_TRUE(classes);
  auto chosen = classes->choose("x", kAlice, {});
  ASSERT_FALSE(chosen);
  EXPECT_NE(chosen.error().message.find((folder / "absent").string()), std::string::npos);
}

TEST_F(ClassFiles, TheirBoundsHold) {
  write("a.toml", "#" + std::string(kMaxClassFileBytes, 'x'));
  EXPECT_EQ(Classes::load(folder).error().code, Code::kLimit);
  std::string many;
  for (uint64_t i = 0; i < kMaxClasses; ++i) many += "[c" + std::to_string(i) + "]\n";
  write("a.toml", many);
  EXPECT_TRUE(Classes::load(folder));
  write("b.toml", "[over]\n");
  EXPECT_EQ(Classes::load(folder).error().code, Code::kLimit);
}

}  // namespace
}  // namespace amalgam::daemon
