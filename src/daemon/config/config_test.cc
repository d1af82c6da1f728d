// SPDX-License-Identifier: Apache-2.0
#include "daemon/config/config.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

std::string complaint(const char* text) {
  auto config = parse_config(text, "amalgamd.toml");
  return config ? "" : config.error().message;
}

TEST(ConfigTest, EveryKeyIsRead) {
  auto config = parse_config(R"(
system = true
socket = "/run/x.sock"
state_dir = "/var/lib/x"
worker = "/opt/amalgam-worker"
classes_dir = "/etc/classes"
log_level = "debug"
log_file = "/var/log/amalgam/x.log"
backends = ["opencl", "sim"]
identity = "amalgam"
warm_workers = 3
idle_exit = 600
keep_sessions_on_exit = false
[isolation]
first_user_id = 70000
user_ids = 10
groups = ["video"]
readable = ["/opt/driver"]
devices = ["/dev/npu"]
[memory]
host_bytes = "1.5GiB"
shared = false
[metrics]
address = "off"
[environment]
POCL_DEVICES = "cpu cpu"
)",
                             "amalgamd.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->system);
  EXPECT_EQ(config->socket, "/run/x.sock");
  EXPECT_EQ(config->state_dir, "/var/lib/x");
  EXPECT_EQ(config->worker, "/opt/amalgam-worker");
  EXPECT_EQ(config->classes_dir, "/etc/classes");
  EXPECT_EQ(config->isolation.first_user_id, 70000u);
  EXPECT_EQ(config->isolation.user_ids, 10u);
  EXPECT_EQ(config->isolation.groups, (std::vector<std::string>{"video"}));
  EXPECT_EQ(config->isolation.readable, (std::vector<std::string>{"/opt/driver"}));
  EXPECT_EQ(config->isolation.devices, (std::vector<std::string>{"/dev/npu"}));
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_EQ(config->log_file, "/var/log/amalgam/x.log");
  EXPECT_EQ(config->backends, (std::vector<std::string>{"opencl", "sim"}));
  EXPECT_EQ(config->identity, model::Identity::kAmalgam);
  EXPECT_EQ(config->warm_workers, 3u);
  EXPECT_EQ(config->idle_exit_s, 600u);
  EXPECT_FALSE(config->keep_sessions_on_exit);
  EXPECT_EQ(config->host_bytes, kGiB + kGiB / 2);
  EXPECT_FALSE(config->shared_memory);
  EXPECT_EQ(config->metrics, "");
  EXPECT_EQ(config->environment.at("POCL_DEVICES"), "cpu cpu");
}

TEST(ConfigTest, TheSystemsDefaultsDiffer) {
  auto system = parse_config("system = true", "x");
  auto user = parse_config("", "x");
  ASSERT_TRUE(system && user);
  EXPECT_TRUE(system->keep_sessions_on_exit);
  EXPECT_EQ(system->metrics, "127.0.0.1:9464");
  EXPECT_EQ(system->classes_dir, "/etc/amalgam/slices.d");
  EXPECT_FALSE(user->keep_sessions_on_exit);
  EXPECT_EQ(system->identity, model::Identity::kUnsaid);
  EXPECT_EQ(user->identity, model::Identity::kUnsaid);
  EXPECT_EQ(user->metrics, "");
}

TEST(ConfigTest, ErrorsNamePlaceKeyAndRemedy) {
  EXPECT_EQ(complaint("\n\nbakends = [\"opencl\"]"),
            "amalgamd.toml:3:1: unknown key \"bakends\": did you mean \"backends\"?");
  EXPECT_EQ(complaint("[memory]\nhost = 3"),
            "amalgamd.toml:2:1: unknown key \"memory.host\": use one of host_bytes, shared");
  EXPECT_EQ(complaint("warm_workers = \"one\""),
            "amalgamd.toml:1:16: \"warm_workers\": wrong type; give a small whole number");
  EXPECT_EQ(complaint("warm_workers = -1"),
            "amalgamd.toml:1:16: \"warm_workers\": must be from 0 to 16; give a small whole number");
  EXPECT_EQ(complaint("memory = 3"), "amalgamd.toml:1:10: \"memory\": wrong type; give a table [memory]");
  EXPECT_NE(complaint("system = ").find("amalgamd.toml:1:"), std::string::npos);
  EXPECT_NE(complaint("socket = \"x.sock\"").find("not absolute"), std::string::npos);
  EXPECT_NE(complaint("backends = []").find("empty"), std::string::npos);
  EXPECT_NE(complaint("backends = [1]").find("must be a name"), std::string::npos);
  EXPECT_NE(complaint("log_level = \"loud\"").find("unknown level"), std::string::npos);
  EXPECT_NE(complaint("[environment]\nX = 1").find("not a string"), std::string::npos);
  EXPECT_NE(complaint("[environment]\nAMALGAM_SOCKET = \"x\"").find("cannot be set"), std::string::npos);
}

TEST(ConfigTest, PoliciesAreCheckedWhereTheyAreRead) {
  auto good = parse_config("[scheduling]\npolicy = \"deadline\"\nquantum_ms = 5\nfreeze = false\npiece_us = 0\n", "a.toml");
  ASSERT_TRUE(good) << good.error().text();
  EXPECT_EQ(good->policy, "deadline");
  EXPECT_EQ(good->quantum_ms, 5u);
  EXPECT_FALSE(good->freeze);
  EXPECT_EQ(good->piece_us, 0u);
  auto unknown = parse_config("[scheduling]\npolicy = \"fare\"\n", "a.toml");
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(unknown.error().message.starts_with("a.toml:2:10: \"scheduling.policy\": ")) << unknown.error().message;
  EXPECT_FALSE(parse_config("[scheduling]\nquantum_ms = 26\n", "a.toml"));
}

TEST(ConfigTest, MetricsAreServedToThisMachineOnly) {
  EXPECT_NE(complaint("[metrics]\naddress = \"0.0.0.0:9464\"").find("loopback"), std::string::npos);
  EXPECT_NE(complaint("[metrics]\naddress = \"127.0.0.1\"").find("not an address and a port"), std::string::npos);
  EXPECT_EQ(parse_metrics_address("localhost:1").value(), "127.0.0.1:1");
  EXPECT_FALSE(parse_metrics_address("127.0.0.1:65536"));
  EXPECT_FALSE(parse_metrics_address("[::]:80"));
}

TEST(ConfigTest, WhichDevicesAreCordoned) {
  EXPECT_EQ(parse_config("", "x")->cordon, Cordon::kAccelerators);
  EXPECT_EQ(parse_config("[health]\ncordon = \"all\"", "x")->cordon, Cordon::kAll);
  EXPECT_NE(complaint("[health]\ncordon = \"some\"").find("unknown word \"some\"; give \"never\""), std::string::npos);
}

TEST(ConfigTest, WhichLaunchesAreCut) {
  EXPECT_EQ(parse_config("", "x")->split, Split::kShared);
  EXPECT_EQ(parse_config("[scheduling]\nsplit = \"never\"", "x")->split, Split::kNever);
  EXPECT_EQ(parse_config("[scheduling]\nsplit = \"always\"\npiece_us = 1", "x")->split, Split::kAlways);
  EXPECT_NE(complaint("[scheduling]\nsplit = \"sometimes\"").find("unknown word \"sometimes\"; give \"never\""),
            std::string::npos);
  EXPECT_NE(complaint("[scheduling]\nsplit = true").find("wrong type"), std::string::npos);
}

TEST(ConfigTest, AMissingFileSaysSo) {
  auto config = load_config("/nonexistent/amalgamd.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace amalgam::daemon
