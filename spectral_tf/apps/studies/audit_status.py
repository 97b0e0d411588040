"""The audit log's status, as the report shows it when it is made again."""

import dataclasses
from pathlib import Path

from spectral_tf.apps.analysis.audit_commands import verdict_line
from spectral_tf.apps.analysis.record import LOG
from spectral_tf.apps.audit import AuditError, verify_log
from spectral_tf.apps.report.page.parts import Notice, Page, Section
from spectral_tf.apps.studies.words import say


def with_audit_status(page: Page, run_dir: Path) -> tuple[Page, str]:
    """Verify the log beside a document, and say so at the end of the page.

    Args:
        page: the page.
        run_dir: folder of the log.

    Returns:
        The page with one more section, and the status in a sentence.
    """
    try:
        verdict = verify_log(run_dir / LOG)
        status, is_intact = verdict_line(verdict), verdict.is_intact
    except AuditError as error:
        status, is_intact = f"{LOG} cannot be verified: {error}", False
    said = say("record.checked", status=status)
    part = said if is_intact else Notice(said)
    title = say("record.status")
    section = Section("audit-status", title, (part,))
    return dataclasses.replace(page, sections=(*page.sections, section)), status
