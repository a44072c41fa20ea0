#!/usr/bin/env python3
"""Runs a command beside a sandbox of its own, and stops the sandbox when the command ends.

    with_sandbox.py DESTINATION COMMAND...

In the command {base_url}, {api_key} and {data_source_uuid} stand for those of the sandbox. Standard library only.
"""

import subprocess
import sys

from checks import sandbox


def main(binary, *command):
    with sandbox(binary) as account:
        filled = []
        for word in command:
            for key, value in account.config.items():
                word = word.replace("{" + key + "}", value)
            filled.append(word)
        return subprocess.run(filled, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
