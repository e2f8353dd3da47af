"""Repeats the study on this machine: python -m examples.study, in the root of the repository."""

from __future__ import annotations

import argparse
from pathlib import Path

from examples.study import captures, plan, report

HERE = Path(__file__).parent


def main() -> None:
    """Capture what is missing, then write the report."""
    parser = argparse.ArgumentParser(prog="python -m examples.study", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small variant of every part, in a few minutes")
    parser.add_argument("--logs", type=Path, help="folder of the captures  [default: logs/study or logs/study-quick]")
    parser.add_argument("--to", type=Path, help="folder of the report  [default: that of the captures]")
    parser.add_argument(
        "--machine",
        type=Path,
        action="append",
        default=[],
        metavar="LOGS",
        help="captures of this study on another machine, for figures 2 and 3; repeatable, the baseline first",
    )
    parser.add_argument("--no-capture", action="store_true", help="only write the report of what is captured")
    options = parser.parse_args()
    chosen = plan.quick() if options.quick else plan.full()
    logs = options.logs or Path("logs", "study-quick" if options.quick else "study")
    if not options.no_capture:
        captures.run(chosen.captures, logs)
    written = report.write_report(chosen, logs, options.to or logs, options.machine)
    print(f"Wrote {written[0]} and {written[-1]} ({report.sizes(written)})")


if __name__ == "__main__":
    main()
