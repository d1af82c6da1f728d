// SPDX-License-Identifier: Apache-2.0
#include "daemon/devices/suspicion.h"

#include <algorithm>
#include <cmath>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr double kLeastFor = 0.25;
/// What was enough a moment ago is not to be lost to rounding and to the milliseconds between reports.
constexpr double kSlack = 0.05;
constexpr double kEnough = static_cast<double>(kFaultsPerUser) - kSlack;

}  // namespace

double Suspicion::Score::at(uint64_t now_ms) const {
  const auto age_ms = static_cast<double>(now_ms > at_ms ? now_ms - at_ms : 0);
  return sum * std::exp2(-age_ms / static_cast<double>(kFaultHalfLifeMs));
}

void Suspicion::Score::add(double weight, uint64_t now_ms) {
  sum = at(now_ms) + weight;
  at_ms = now_ms;
}

bool Suspicion::Witness::is_against(uint64_t now_ms) const {
  return faults.at(now_ms) >= kEnough && faults.at(now_ms) > well.at(now_ms);
}

bool Suspicion::Witness::is_for(uint64_t now_ms) const {
  return well.at(now_ms) >= kLeastFor && faults.at(now_ms) < well.at(now_ms);
}

Suspicion::Witness& Suspicion::witness(Device& device, uid_t user, uint64_t now_ms) {
  if (device.witnesses.size() >= kFaultWitnesses && !device.witnesses.contains(user))
    device.witnesses.erase(std::ranges::min_element(device.witnesses, {}, [now_ms](const auto& entry) {
      return entry.second.faults.at(now_ms) + entry.second.well.at(now_ms);
    }));
  return device.witnesses[user];
}

bool Suspicion::fault(const std::string& device, uid_t user, double part, uint64_t now_ms) {
  Witness& of = witness(devices_[device], user, now_ms);
  const bool was_against = of.is_against(now_ms);
  of.faults.add(part, now_ms);
  return !was_against && of.is_against(now_ms);
}

void Suspicion::well(const std::string& device, uid_t user, double weight, uint64_t now_ms) {
  witness(devices_[device], user, now_ms).well.add(weight, now_ms);
}

void Suspicion::probe_failed(const std::string& device, uint64_t now_ms) { devices_[device].probes.add(1, now_ms); }

Suspicion::Verdict Suspicion::judge(const std::string& device, uint64_t now_ms) const {
  Verdict verdict;
  const auto found = devices_.find(device);
  if (found == devices_.end()) return verdict;
  for (const auto& [user, of] : found->second.witnesses) {
    verdict.against += of.is_against(now_ms) ? 1 : 0;
    verdict.in_favour += of.is_for(now_ms) ? 1 : 0;
  }
  verdict.probes = found->second.probes.at(now_ms);
  verdict.sick = (verdict.against >= kFaultUsers && verdict.against > verdict.in_favour) || verdict.probes >= kEnough;
  return verdict;
}

}  // namespace amalgam::daemon
