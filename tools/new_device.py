#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""new_device.py NAME: copies the skeleton of a backend, src/south/device/null, to src/south/device/NAME under that name."""
import os
import re
import sys

import tree

SKELETON = "src/south/device/null"


def rename(text, name):
    """The skeleton's text for backend `name`; the word null in its common meaning stays."""
    camel = "".join(part.capitalize() for part in name.split("_"))
    text = re.sub(r"\bNull(?=[A-Z][a-z])", camel, text)
    text = re.sub(r"\b(make_|south_|south_device_|conformance_)null(?=_|\b)", rf"\g<1>{name}", text)
    text = re.sub(r'(?<=[:/" ])null(?=::|/|"| device\b| backend\b| \d|: )', name, text)
    text = re.sub(r"\bnull(?=\.(?:h|cc)\b|_test\b|::|/)", name, text)
    text = re.sub(r"(namespace (?:amalgam::south::)?)null\b", rf"\g<1>{name}", text)
    return text


def copy(name, root=tree.ROOT):
    """The paths that were written, relative to the root."""
    source, target = os.path.join(root, SKELETON), os.path.join(root, os.path.dirname(SKELETON), name)
    if not os.path.isdir(source):
        raise SystemExit(f"new-device: the skeleton {SKELETON} is not there")
    os.mkdir(target)
    written = []
    for file in sorted(os.listdir(source)):
        new = re.sub(r"^null(?=[._])", name, file)
        with open(os.path.join(target, new), "w", encoding="utf-8") as out:
            out.write(rename(tree.read(os.path.join(SKELETON, file), root), name))
        written.append(os.path.join(os.path.dirname(SKELETON), name, new))
    return written


def main(arguments):
    if len(arguments) != 1 or not re.fullmatch(r"[a-z][a-z0-9_]*", arguments[0]):
        raise SystemExit("new-device: name the backend in lower case letters, digits and _, e.g. ./dev new-device levelzero")
    try:
        print("\n".join(copy(arguments[0])))
    except FileExistsError as error:
        raise SystemExit(f"new-device: {error.filename} is there already") from None
    print("Two lines are left to write: the folder in src/CMakeLists.txt, the backend in src/worker's table.")


if __name__ == "__main__":
    main(sys.argv[1:])
