// SPDX-License-Identifier: Apache-2.0
// Replays a corpus through a fuzz target without libFuzzer: each file as it is, then with single bytes changed.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  size_t inputs = 0;
  for (int i = 1; i < argc; ++i)
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      std::vector<char> read{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
      std::vector<uint8_t> bytes(read.begin(), read.end());
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      for (size_t at = 0; at < bytes.size() && at < 24; ++at) {
        uint8_t kept = bytes[at];
        bytes[at] = static_cast<uint8_t>(kept ^ 0xff);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
        bytes[at] = kept;
        ++inputs;
      }
      ++inputs;
    }
  std::printf("replayed %zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;
}
