"""``carengine report``: rules over events, and what they found as one page to hand on."""

from __future__ import annotations

import argparse

from . import UsageError, hunt
from .options import (
    OutputSettings,
    ReportSettings,
    add_engine_option,
    add_events_argument,
    add_input_option,
    add_map_option,
    add_report_content_options,
    add_rules_option,
    add_stream_options,
    add_tuning_options,
    engine_file,
    evidence_settings,
    map_names,
    rule_settings,
    stream_options,
    tuning_settings,
)
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine report logs/ -o report.html                    the shipped rules over a folder
  carengine report evidence.zip -r sigma/ -o report.html --title 'Case 17, host WS1'
  carengine report logs/ -o report.html --level medium --jobs auto
  carengine hunt logs/ -f jsonl -o hits.jsonl --report report.html    both in one run

The file is one page. It opens in any browser without a network, asks none, and can be sent on. It
holds the events that matched, whole: send it to those who may read the logs.

exit status: as for `carengine hunt`.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``report`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the page that is written"
    )
    add_report_content_options(parser)
    add_rules_option(parser)
    add_map_option(parser)
    add_engine_option(parser)
    add_input_option(parser)
    add_tuning_options(parser)
    parser.add_argument(
        "--fail-on-match", action="store_true", help="exit with 1 when something matched"
    )
    parser.add_argument(
        "--account",
        metavar="FILE",
        help="write what became of all rules and records, and what each rule needed, as JSON",
    )
    add_stream_options(parser)
    hunt.add_jobs_option(parser)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say errors and the closing account only"
    )


def settings(values: argparse.Namespace) -> hunt.HuntSettings:
    """What the command line asks for. Raises `UsageError`."""
    if values.output == "-":
        raise UsageError("carengine report: the page is written to a file; -o names it")
    asked = hunt.HuntSettings(
        evidence_settings(values),
        rule_settings(values),
        map_names(values),
        engine_file(values),
        OutputSettings(None, None, True, 0),
        tuning_settings(values),
        stream_options(values, follow=False),
        jobs=values.jobs,
        account=values.account,
        fail_on_match=values.fail_on_match,
        quiet=values.quiet,
        report=ReportSettings(values.output, values.title, not values.no_process_trees),
        written=False,
    )
    hunt.refuse_overwriting(asked, None)
    return asked


def run(settings: hunt.HuntSettings, screen: Screen) -> int:
    """Hunt, and write the report. The exit status."""
    return hunt.run(settings, screen)
