// SPDX-License-Identifier: Apache-2.0
// `amalgam run`: makes a slice, then runs a program that sees the pool through this slice and nothing else.
//
// The program finds its way by its environment: AMALGAM_SOCKET and AMALGAM_SLICE tell the front door where and on what;
// OCL_ICD_VENDORS names a folder whose only driver is ours, which both OpenCL loaders (ocl-icd and Khronos') take for the
// whole list. Where it can be had it is also contained (contain.h), so that it finds the same with another environment. We
// stay as its parent, since the slice lives while our connection does.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "north/cli/child.h"
#include "north/cli/contain.h"
#include "north/cli/places.h"
#include "north/cli/program_file.h"
#include "north/cli/starter.h"
#include "north/cli/terms_options.h"
#include "north/cli/text.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

struct RunOptions {
  std::vector<std::string> devices;
  std::string name, class_name, identity;
  TermsOptions terms;
  bool contain = false, no_contain = false;  ///< neither: if root runs it, and if it can be had
  bool quiet = false, reliable = false;
};

protocol::SliceFile slice_file(const Client& client, const protocol::SliceCreated& slice, const std::string& identity) {
  std::error_code ignored;
  const char* around = ::getenv("AMALGAM_IDENTITY");
  return {std::filesystem::absolute(client.socket(), ignored).string(),
          fmt::format("{:016x}{:016x}", slice.token[0], slice.token[1]),
          identity.empty() && around != nullptr ? around : identity};
}

std::vector<Setting> environment(const Places& places, const protocol::SliceFile& slice) {
  // Older loaders glue folder and file name together without a slash.
  std::string vendors = places.vendors.string() + "/";
  return {{"AMALGAM_SOCKET", slice.socket},
          {"AMALGAM_SLICE", slice.token},
          {"AMALGAM_IDENTITY", slice.identity, slice.identity.empty()},
          {"OCL_ICD_VENDORS", vendors},
          {"OCL_ICD_FILENAMES", places.opencl.string()},
          {"OPENCL_VENDOR_PATH", "", true}};
}

void say(const RunOptions& options, const std::string& text) {
  if (!options.quiet) fmt::print(stderr, "amalgam: {}\n", text);
}

/// Runs it contained if that is wished and can be had, and says whether it is.
Result<Ended> run_kept(const RunOptions& options, const Places& places, const protocol::SliceFile& slice,
                       const std::vector<std::string>& program) {
  std::string reason = "--no-contain";
  if (!options.no_contain) {
    auto ended = run_child(program, environment(places, slice), [&]() -> Result<void> {
      auto power = contain(places.opencl, slice, options.contain ? Power::kUsers : Power::kOwn);
      if (!power) return fail(std::move(power.error()));
      // Who is believed there may be somebody else than here.
      AMALGAM_TRY(protocol::Channel::connect(slice.socket), "from there");
      say(options, *power == Power::kOwn ? "contained: the program stays on its slice whatever becomes of its environment"
                                         : "contained, in a name space of users: set-uid programs gain no rights in it");
      return {};
    });
    if (ended) return ended;
    if (options.contain) return fail(std::move(ended.error()).within("contain the program"));
    reason = ::geteuid() == 0 ? ended.error().message : "you are not root, see --contain";
  }
  say(options, "not contained (" + reason + "): env -i, sudo and the like take the program off its slice");
  return run_child(program, environment(places, slice));
}

Result<Ended> run(const Invocation& invocation, const RunOptions& options, const std::vector<std::string>& program) {
  protocol::CreateSlice wish;
  wish.devices = options.devices;
  wish.name = options.name.empty() ? std::filesystem::path(program[0]).filename().string() : options.name;
  wish.class_name = options.class_name;
  wish.reliable = options.reliable;
  if (!options.identity.empty() && !model::parse_identity(options.identity))
    return fail(Code::kInvalidArgument, "--identity " + printable(options.identity) + ": native or amalgam");
  auto terms = read_terms(options.terms);
  if (!terms) return fail(std::move(terms.error()));
  wish.terms = *terms;
  auto folder = own_folder();
  if (!folder) return fail(std::move(folder.error()));
  auto places = Places::find(*folder, std::filesystem::path(protocol::user_socket_path()).parent_path());
  if (!places) return fail(std::move(places.error()));
  auto client = connect_or_start(invocation.socket);
  if (!client) return fail(std::move(client.error()));
  auto slice = client->create_slice(wish);
  if (!slice) return fail(std::move(slice.error()).within("make a slice"));
  if (std::string blind = why_blind(find_program(program[0])); !blind.empty()) complain(Error(Code::kUnsupported, blind));
  return run_kept(options, *places, slice_file(*client, *slice, options.identity), program);
}

}  // namespace

void add_run(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("run", "Run any program that uses OpenCL, unchanged, on a slice of the pool");
  auto options = std::make_shared<RunOptions>();
  verb.option("--device", options->devices, "A device of the slice (repeat it for more); default: all").type("ID");
  add_terms_options(verb, options->terms);
  verb.option("--class", options->class_name, "A class of the daemon's files; it gives what the options above do not")
      .type("NAME");
  verb.option("--name", options->name, "What listings call the slice; default: the program's name").type("NAME");
  verb.option("--identity", options->identity, "Whose name its platforms have: native (the driver's) or amalgam")
      .type("WHOSE");
  verb.flag("--reliable", options->reliable,
            "Go on when a worker or its driver dies: what the device has is copied now and then, at a cost");
  verb.flag("--contain", options->contain,
            "Keep the machine's own drivers from the program, whatever its environment; default for root");
  verb.flag("--no-contain", options->no_contain, "Lead the program to its slice by its environment alone");
  verb.flag("-q,--quiet", options->quiet, "Do not say whether the program is contained");
  verb.takes_program();
  verb.footer(
      "Usage: amalgam run [OPTIONS] -- PROGRAM [ARGUMENTS]\n"
      "Exit status: the program's own, 128 + signal if it was killed; 125 we failed, 126 it cannot be executed, "
      "127 there is none.");
  verb.does([verb, &invocation, options] {
    std::vector<std::string> program = verb.program();
    program.insert(program.end(), invocation.program.begin(), invocation.program.end());
    if (program.empty() || program[0].starts_with('-')) {
      Error usage(Code::kInvalidArgument,
                  program.empty() ? "run: name a program: amalgam run [OPTIONS] -- PROGRAM [ARGUMENTS]"
                                  : "run: there is no option " + printable(program[0]) + ": " + verb.advice(program[0]));
      return complain(usage, kOwnFailure);
    }
    if (options->contain && options->no_contain)
      return complain(Error(Code::kInvalidArgument, "run: --contain and --no-contain exclude each other"), kOwnFailure);
    auto ended = run(invocation, *options, program);
    if (!ended) return complain(ended.error(), kOwnFailure);
    if (!ended->problem.empty()) complain(Error(Code::kNotFound, ended->problem));
    return ended->status;
  });
}

}  // namespace amalgam::cli
