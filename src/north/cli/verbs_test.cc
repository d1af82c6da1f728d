// SPDX-License-Identifier: Apache-2.0
#include "north/cli/verbs.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/limit_list.h"
#include "north/cli/child.h"
#include "north/cli/places.h"
#include "tests/cli/fake_daemon.h"

namespace amalgam::cli {
namespace {

struct Said {
  int status = 0;
  std::string out, err;
};

Said amalgam(std::vector<const char*> words) {
  words.insert(words.begin(), "amalgam");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Said said;
  said.status = amalgam_main(static_cast<int>(words.size()), words.data());
  said.out = testing::internal::GetCapturedStdout();
  said.err = testing::internal::GetCapturedStderr();
  return said;
}

class Verbs : public testing::Test {
 protected:
  Verbs() {
    for (int i = 0; i < 3; ++i) {
      protocol::DeviceEntry device;
      device.device.id = "opencl:" + std::to_string(i);
      device.device.name = "processor";
      device.pool_bytes = 4 * kGiB;
      device.pool_held_bytes = kGiB;
      daemon.devices.push_back(device);
      protocol::SessionEntry session;
      session.session = static_cast<uint64_t>(i) + 7;
      session.program = "program\x1b" + std::to_string(i);
      session.device_time_ns = {1'000'000'000, 500'000'000};
      session.quota_bytes = kGiB;
      daemon.sessions.push_back(session);
    }
    daemon.devices[2].device.health = model::Health::kSick;
    daemon.devices[2].device.health_text = "the driver hung";
  }
  std::string socket() const { return daemon.path(); }
  FakeDaemon daemon;
};

TEST_F(Verbs, DevicesJoinsPages) {
  std::string path = socket();
  Said said = amalgam({"devices", "--socket", path.c_str()});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_NE(said.out.find("opencl:2"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("sick: the driver hung"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("3 GiB"), std::string::npos) << said.out;
}

TEST_F(Verbs, SaysWhatWorkersAreConfinedBy) {
  std::string path = socket();
  daemon.confinement = {.own_user = true,
                        .no_capabilities = true,
                        .calls = true,
                        .landlock_abi = 7,
                        .spaces = model::kWalls,
                        .missing = "cgroup v2 is not\x1b mounted"};
  for (const char* verb : {"status", "devices"}) {
    Said said = amalgam({verb, "--socket", path.c_str()});
    EXPECT_EQ(said.status, 0) << said.err;
    EXPECT_NE(said.out.find("workers   have own user id, no capabilities, listed system calls, landlock abi 7, own mounts"),
              std::string::npos)
        << said.out;
    EXPECT_NE(said.out.find("lack cgroup: cgroup v2 is not? mounted\n"), std::string::npos) << said.out;
  }
  auto json = nlohmann::json::parse(amalgam({"status", "--json", "--socket", path.c_str()}).out);
  EXPECT_EQ(json["confinement"]["own_user"], true);
  EXPECT_EQ(json["confinement"]["cgroup"], false);
}

TEST_F(Verbs, WorkersThatLackNothingAreNotSaidToLackAnything) {
  std::string path = socket();
  daemon.confinement = {true, true, true, 7, model::kWalls, true, true, true, ""};
  EXPECT_EQ(amalgam({"status", "--socket", path.c_str()}).out.find("lack"), std::string::npos);
}

TEST_F(Verbs, JsonHasRawNumbers) {
  std::string path = socket();
  auto devices = nlohmann::json::parse(amalgam({"--socket", path.c_str(), "devices", "--json"}).out);
  ASSERT_EQ(devices.size(), 3u);
  EXPECT_EQ(devices[0]["pool_free_bytes"], 3 * kGiB);
  auto sessions = nlohmann::json::parse(amalgam({"ps", "--json", "--socket", path.c_str()}).out);
  ASSERT_EQ(sessions.size(), 3u);
  EXPECT_EQ(sessions[2]["session"], 9);
  EXPECT_EQ(sessions[0]["device_time_ns"][1], 500'000'000);
}

TEST_F(Verbs, TermsAreListed) {
  std::string path = socket();
  daemon.sessions[0].terms = {125'000, 500'000, model::Priority::kHigh, {990'000, 1'500'000}};
  daemon.sessions[0].class_name = "training";
  auto sessions = nlohmann::json::parse(amalgam({"ps", "--json", "--socket", path.c_str()}).out);
  EXPECT_EQ(sessions[0]["share_percent"], 12.5);
  EXPECT_EQ(sessions[0]["cap_percent"], 50);
  EXPECT_EQ(sessions[0]["priority"], "high");
  EXPECT_EQ(sessions[0]["slo_p99_ms"], 1.5);
  EXPECT_EQ(sessions[0]["class"], "training");
  EXPECT_EQ(sessions[0]["quota_bytes"], kGiB);
  EXPECT_EQ(sessions[1]["share_percent"], 0);
  EXPECT_TRUE(sessions[1]["cap_percent"].is_null());
  EXPECT_TRUE(sessions[1]["slo_p99_ms"].is_null());
  for (auto words : {std::vector<const char*>{"ps"}, {"top", "--once"}}) {
    words.insert(words.end(), {"--socket", path.c_str()});
    std::string out = amalgam(words).out;
    for (const char* word : {"SHARE", "CAP", "PRIO", "12.5%", "50%", "high", "normal"})
      EXPECT_NE(out.find(word), std::string::npos) << out;
  }
}

TEST_F(Verbs, SetSendsWhatIsNamedAndSaysWhatItChanged) {
  std::string path = socket();
  daemon.sessions[0].slice = daemon.sessions[2].slice = 3;
  daemon.sessions[0].slice_name = "name\x1b";
  Said said = amalgam({"set", "7", "--share", "60%", "--cap", "none", "--socket", path.c_str()});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_EQ(daemon.last_change.session, 7u);
  EXPECT_EQ(daemon.last_change.terms.given, 3u);
  EXPECT_EQ(daemon.last_change.terms.terms.share_ppm, 600'000u);
  EXPECT_EQ(said.out,
            "slice 3 \"name?\" of session 7, and with it session 9:\n"
            "  share 60%, cap none, priority normal, slo none, memory 1 GiB\n");
  auto json = nlohmann::json::parse(
      amalgam({"set", "8", "--memory", "none", "--priority", "low", "--json", "--socket", path.c_str()}).out);
  EXPECT_EQ(json["priority"], "low");
  EXPECT_EQ(json["quota_bytes"], 0);
  EXPECT_EQ(json["sessions"], nlohmann::json::array({8}));
}

TEST_F(Verbs, SetSaysWhyNot) {
  std::string path = socket();
  auto complaint = [&](std::vector<const char*> words, int status = kUsage) {
    words.insert(words.end(), {"--socket", path.c_str()});
    Said said = amalgam(words);
    EXPECT_EQ(said.status, status);
    EXPECT_TRUE(said.out.empty()) << said.out;
    return said.err;
  };
  EXPECT_EQ(complaint({"set", "7"}), "amalgam: set: name what to change: --share, --cap, --priority, --slo or --memory\n");
  EXPECT_EQ(complaint({"set", "7", "--share", "130%"}), "amalgam: --share 130%: between 1% and 100%, or none\n");
  EXPECT_EQ(daemon.last_change.session, 0u) << "what is wrong here is not sent";
  daemon.refusal = "the moon is full";
  EXPECT_EQ(complaint({"set", "7", "--share", "30%"}, kFailed), "amalgam: the moon is full\n");
  EXPECT_EQ(amalgam({"set", "--share", "30%"}).status, kUsage);
  EXPECT_EQ(amalgam({"set", "seven", "--share", "30%"}).status, kUsage);
}

TEST_F(Verbs, ExplainAsksForEachDevice) {
  std::string path = socket();
  for (const char* id : {"opencl:0", "opencl:1"}) {
    protocol::Explanation answer;
    answer.device_id = id;
    answer.slice = 3;
    answer.slice_name = "train\x1b";
    answer.ran_ns = 4'000'000;
    answer.last_decision = 2;
    answer.decisions = {{.slice = 3}, {.slice = 4}};
    daemon.explanations.push_back(answer);
  }
  daemon.explanations[1].ungoverned = "the arbiter refused it";
  Said said = amalgam({"explain", "7", "--last", "1", "--socket", path.c_str()});
  EXPECT_EQ(said.status, 0) << said.err;
  for (const char* part :
       {"session 7", "slice 3 \"train?\"", "on opencl:0, policy", "slice 4", "on opencl:1: the arbiter refused it"})
    EXPECT_NE(said.out.find(part), std::string::npos) << part << " in " << said.out;
  auto json = nlohmann::json::parse(amalgam({"explain", "7", "--json", "--socket", path.c_str()}).out);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["ran_ns"], 4'000'000);
  EXPECT_EQ(json[0]["decisions"].size(), 2u);
  EXPECT_EQ(json[1]["governed"], false);
  daemon.explanations.clear();
  said = amalgam({"explain", "8", "--socket", path.c_str()});
  EXPECT_EQ(said.status, kFailed);
  EXPECT_EQ(said.err, "amalgam: there is no session 8\n");
  EXPECT_EQ(amalgam({"explain", "7", "--last", "100000"}).status, kUsage);
}

TEST_F(Verbs, TraceWritesAWholeFile) {
  std::string path = socket();
  std::string file = path + ".json";
  EXPECT_EQ(amalgam({"trace", "7", "-o", file.c_str(), "--socket", path.c_str()}).status, kFailed) << "no such session";
  EXPECT_FALSE(std::filesystem::exists(file));
  protocol::Explanation answer;
  answer.device_id = "opencl:0";
  answer.now_ns = 1'000'000;
  answer.last_decision = 1;
  answer.decisions = {{.slice = 3}};
  answer.holder = 3;
  daemon.explanations.push_back(answer);
  Said said = amalgam({"trace", "7", "-o", file.c_str(), "--seconds", "0.01", "--socket", path.c_str()});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_NE(said.out.find("the time is over"), std::string::npos) << said.out;
  std::ifstream in(file);
  auto json = nlohmann::json::parse(in);
  EXPECT_GE(json["traceEvents"].size(), 3u);
  EXPECT_EQ(amalgam({"trace", "7", "-o", "/no/such/folder/t.json", "--socket", path.c_str()}).status, kFailed);
  EXPECT_EQ(amalgam({"trace", "7"}).status, kUsage);
}

TEST_F(Verbs, ListingsPrintNoEscapes) {
  std::string path = socket();
  for (auto words : {std::vector<const char*>{"ps"}, {"top", "--once"}, {"status"}, {"metrics"}}) {
    words.insert(words.end(), {"--socket", path.c_str()});
    Said said = amalgam(words);
    EXPECT_EQ(said.status, 0) << said.err;
    EXPECT_FALSE(said.out.empty());
    EXPECT_EQ(said.out.find('\x1b'), std::string::npos) << said.out;
  }
}

TEST_F(Verbs, ShutdownWaitsUntilTheDaemonHangsUp) {
  std::string path = socket();
  EXPECT_EQ(amalgam({"shutdown", "--socket", path.c_str()}).status, 0);
}

TEST_F(Verbs, ErrorsSayWhatToDo) {
  Said said = amalgam({"devices", "--socket", "/no/such/socket"});
  EXPECT_EQ(said.status, kFailed);
  EXPECT_NE(said.err.find("amalgam run"), std::string::npos) << said.err;
  EXPECT_TRUE(said.out.empty());
  EXPECT_EQ(amalgam({"unheard-of"}).status, kUsage);
  const std::pair<std::vector<const char*>, const char*> slips[] = {
      {{"expalin", "7"}, "there is no verb \"expalin\": did you mean \"explain\"?"},
      {{"unheard-of"}, "there is no verb \"unheard-of\": use one of run, set, "},
      {{"ps", "--jsno"}, "ps: there is no option --jsno: did you mean \"--json\"? `amalgam ps --help` says more"},
      {{"--scoket=/x", "ps"}, "there is no option --scoket=/x: did you mean \"--socket\"?"},
      {{"ps", "7"}, "ps: \"7\" is one word too many; `amalgam ps --help` says more"},
      {{"explain"}, "explain: SESSION is required; `amalgam explain --help` says more"},
      {{"explain", "-1"}, "\"-1\" is no session: give a number of `amalgam ps`"},
      {{"explain", "0"}, "\"0\" is no session: give a number of `amalgam ps`"},
      {{}, "name a verb; `amalgam --help` says more"},
  };
  for (const auto& [words, text] : slips) {
    Said slip = amalgam(words);
    EXPECT_EQ(slip.status, kUsage) << text;
    EXPECT_NE(slip.err.find(std::string("amalgam: ")), std::string::npos) << slip.err;
    EXPECT_NE(slip.err.find(text), std::string::npos) << slip.err;
    EXPECT_EQ(std::ranges::count(slip.err, '\n'), 1) << slip.err;
  }
  EXPECT_EQ(amalgam({"top", "--interval", "0"}).status, kUsage);
}

TEST_F(Verbs, RunRefusesBadUsageWith125) {
  std::string path = socket();
  EXPECT_EQ(amalgam({"run"}).status, kOwnFailure);
  EXPECT_EQ(amalgam({"run", "--nonsense", "--", "true"}).status, kOwnFailure);
  EXPECT_NE(amalgam({"run", "--shaer", "30%", "--", "true"})
                .err.find("run: there is no option --shaer: did you mean \"--share\"?"),
            std::string::npos);
  Said said = amalgam({"run", "--memory", "lots", "--socket", path.c_str(), "--", "true"});
  EXPECT_EQ(said.status, kOwnFailure);
  EXPECT_NE(said.err.find("512MiB"), std::string::npos) << said.err;
  said = amalgam({"run", "--share", "130%", "--socket", path.c_str(), "--", "true"});
  EXPECT_EQ(said.status, kOwnFailure);
  EXPECT_EQ(said.err, "amalgam: --share 130%: between 1% and 100%, or none\n");
  EXPECT_EQ(amalgam({"run", "--socket", "/no/such/socket", "--", "true"}).status, kOwnFailure);
  said = amalgam({"run", "--identity", "nvidia", "--socket", path.c_str(), "--", "true"});
  EXPECT_EQ(said.status, kOwnFailure);
  EXPECT_EQ(said.err, "amalgam: --identity nvidia: native or amalgam\n");
  EXPECT_EQ(amalgam({"run", "--contain", "--no-contain", "--socket", path.c_str(), "--", "true"}).status, kOwnFailure);
}

TEST(Limits, EveryOneIsListed) {
  auto listed = nlohmann::json::parse(amalgam({"limits", "--json"}).out);
  EXPECT_EQ(listed.size(), std::size(kLimits));
  EXPECT_NE(amalgam({"limits"}).out.find("frame-bytes"), std::string::npos);
}

/// An installed tree, made of empty files.
class PlacesTest : public testing::Test {
 protected:
  PlacesTest() {
    char name[] = "/tmp/amalgam-places-XXXXXX";
    root = ::mkdtemp(name);
    for (const char* folder : {"p/bin", "p/sbin", "p/lib", "p/share/amalgam/vendors"})
      std::filesystem::create_directories(root / folder);
    for (const char* file : {"p/sbin/amalgamd", "p/lib/libamalgam_opencl.so"}) std::ofstream(root / file) << "x";
    write_icd(root / "p/lib/libamalgam_opencl.so");
  }
  ~PlacesTest() override { std::filesystem::remove_all(root); }
  void write_icd(const std::filesystem::path& library) const {
    std::ofstream(root / "p/share/amalgam/vendors/amalgam.icd") << library.string() << "\n";
  }
  std::filesystem::path root;
};

TEST_F(PlacesTest, AnInstalledTreeIsUsedAsItIs) {
  auto places = Places::find(root / "p/bin", root / "run");
  ASSERT_TRUE(places) << places.error().text();
  EXPECT_EQ(places->vendors, root / "p/share/amalgam/vendors");
  EXPECT_EQ(places->daemon, root / "p/sbin/amalgamd");
  EXPECT_FALSE(std::filesystem::exists(root / "run"));
}

TEST_F(PlacesTest, TheSimulatorIsBelowLibexec) {
  EXPECT_EQ(Places::find_sim(root / "p/bin").error().code, Code::kNotFound);
  std::filesystem::create_directories(root / "p/libexec/amalgam");
  std::ofstream(root / "p/libexec/amalgam/amalgam-sim") << "x";
  EXPECT_EQ(*Places::find_sim(root / "p/bin"), root / "p/libexec/amalgam/amalgam-sim");
}

TEST_F(PlacesTest, AMovedTreeGetsAVendorsFolderOfItsOwn) {
  write_icd("/somewhere/else/libamalgam_opencl.so");
  auto places = Places::find(root / "p/bin", root / "run");
  ASSERT_TRUE(places) << places.error().text();
  std::ifstream icd(places->vendors / "amalgam.icd");
  std::string line;
  std::getline(icd, line);
  EXPECT_EQ(line, (root / "p/lib/libamalgam_opencl.so").string());
  EXPECT_EQ(Places::find(root / "p/bin", root / "run")->vendors, places->vendors);
}

TEST_F(PlacesTest, AFolderThatOthersMayWriteToIsRefused) {
  std::filesystem::create_directory(root / "run");
  std::filesystem::permissions(root / "run", std::filesystem::perms::all);
  auto made = make_private_folder(root / "run");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kPermissionDenied);
}

TEST_F(PlacesTest, WhatIsMissingIsNamed) {
  std::filesystem::remove(root / "p/lib/libamalgam_opencl.so");
  auto places = Places::find(root / "p/bin", root / "run");
  ASSERT_FALSE(places);
  EXPECT_NE(places.error().message.find("libamalgam_opencl.so"), std::string::npos);
}

}  // namespace
}  // namespace amalgam::cli
