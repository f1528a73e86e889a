"""Whether a draft was tested as it is now, and who may say so."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db.models.functions import Now

from routing.models import DraftTest, RuleVersion
from routing.portable.writing import single_rule_document


def fingerprint(draft: RuleVersion) -> str:
    """A digest of everything that a draft says, its translation tables included."""
    document = single_rule_document(draft.rule, draft)
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()


def note_test(draft: RuleVersion, seen: str, by: Any, tested: int, failed: int) -> None:
    """Note that the draft was tested when its fingerprint was `seen`; replaces what was noted before."""
    DraftTest.objects.update_or_create(
        version=draft,
        defaults={
            "organization_id": draft.organization_id,
            "environment_id": draft.environment_id,
            "fingerprint": seen,
            "tested": tested,
            "failed": failed,
            "tested_by": by,
            "tested_at": Now(),
        },
    )


def test_of(draft: RuleVersion) -> DraftTest | None:
    """The last test of the draft, if nothing in it was changed since."""
    found = DraftTest.objects.filter(version=draft).select_related("tested_by").first()
    return found if found is not None and found.fingerprint == fingerprint(draft) else None
