# SPDX-License-Identifier: Apache-2.0
"""What the checks share: the list of the repository's files, and their text."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED_FOLDERS = {".git", "build", "__pycache__", ".cache"}


def files(root=ROOT):
    """Paths, relative to the root, of everything that is or could be committed; without git, of everything but builds."""
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        found = listing.stdout.splitlines()
    else:
        found = []
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(path for path in set(found) if os.path.isfile(os.path.join(root, path)))


def read(path, root=ROOT):
    """The text of a file; bytes that are not UTF-8 are replaced."""
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def is_cpp(path):
    return path.endswith((".h", ".cc"))
