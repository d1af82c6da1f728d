// SPDX-License-Identifier: Apache-2.0
#include "north/cli/child.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace amalgam::cli {
namespace {

int status_of(const std::vector<std::string>& argv, const std::vector<Setting>& settings = {}) {
  auto ended = run_child(argv, settings);
  return ended ? ended->status : -1;
}

TEST(Child, PassesTheStatusOn) {
  EXPECT_EQ(status_of({"true"}), 0);
  EXPECT_EQ(status_of({"sh", "-c", "exit 41"}), 41);
  EXPECT_EQ(status_of({"sh", "-c", "kill -TERM $$"}), 128 + SIGTERM);
  EXPECT_EQ(status_of({"sh", "-c", "kill -KILL $$"}), 128 + SIGKILL);
}

TEST(Child, SaysWhyItDidNotStart) {
  auto none = run_child({"/no/such/program"}, {});
  ASSERT_TRUE(none);
  EXPECT_EQ(none->status, kNoSuchProgram);
  EXPECT_EQ(none->problem, "/no/such/program: No such file or directory");
  auto folder = run_child({"/"}, {});
  ASSERT_TRUE(folder);
  EXPECT_EQ(folder->status, kCannotExecute);
}

TEST(Child, ChangesTheEnvironmentOfTheProgramAlone) {
  ::setenv("AMALGAM_TEST_GONE", "1", 1);
  std::vector<Setting> settings = {{"AMALGAM_TEST_NEW", "a b"}, {"AMALGAM_TEST_GONE", "", true}};
  EXPECT_EQ(status_of({"sh", "-c", "[ \"$AMALGAM_TEST_NEW\" = 'a b' ] && [ -z \"${AMALGAM_TEST_GONE+x}\" ]"}, settings), 0);
  EXPECT_EQ(::getenv("AMALGAM_TEST_NEW"), nullptr);
  EXPECT_NE(::getenv("AMALGAM_TEST_GONE"), nullptr);
}

TEST(Child, IsPreparedBeforeItIsTheProgram) {
  char file[] = "/tmp/amalgam-child-XXXXXX";
  ::close(::mkstemp(file));
  ASSERT_EQ(::unlink(file), 0);
  auto prepare = [&]() -> Result<void> {
    if (::symlink("prepared", file) != 0) return fail(system_error(file, errno));
    return {};
  };
  const std::vector<std::string> program = {"sh", "-c", std::string("[ -L ") + file + " ] && rm " + file};
  auto ended = run_child(program, {}, prepare);
  ASSERT_TRUE(ended) << ended.error().text();
  EXPECT_EQ(ended->status, 0);
}

TEST(Child, DoesNotStartUnprepared) {
  char file[] = "/tmp/amalgam-child-XXXXXX";
  ::close(::mkstemp(file));
  auto refused = run_child({"rm", file}, {}, [] { return Result<void>(fail(Code::kUnsupported, "the moon is full")); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnsupported);
  EXPECT_EQ(refused.error().message, "the moon is full");
  EXPECT_EQ(::unlink(file), 0) << "the program ran";
}

TEST(Child, ForwardsSignalsThatWereSentToUs) {
  // A runner of its own: the program says that it is ready through a pipe, then waits for the signal.
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    pid_t runner = ::fork();
    if (runner == 0) {
      std::string script =
          "trap 'exit 7' INT TERM HUP QUIT USR1 USR2; echo >&" + std::to_string(ends[1]) + "; while :; do sleep 0.02; done";
      auto ended = run_child({"bash", "-c", script}, {});
      ::_exit(ended ? ended->status : 99);
    }
    char ready;
    ASSERT_EQ(::read(ends[0], &ready, 1), 1);
    ASSERT_EQ(::kill(runner, signal), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(runner, &status, 0), runner);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7) << signal;
    ::close(ends[0]);
    ::close(ends[1]);
  }
}

}  // namespace
}  // namespace amalgam::cli
