"""Routing rules: their versions, conditions, mappings, delays and lookups as rows, and what rules share."""

from routing.models.attachments import AttachmentMapping
from routing.models.condition import Condition, ConditionGroup
from routing.models.counter import Counter
from routing.models.delay import DelayCondition, DelayKind
from routing.models.in_force import RuleInForce
from routing.models.lookup import Lookup, LookupMode
from routing.models.mapping import Mapping, MappingCategory, MappingKind, MissingPolicy, OnlyOn, Ownership
from routing.models.proof import DraftTest
from routing.models.rule import Revision, RoutingRule, RuleAction, RuleVersion, default_operations
from routing.models.table import TranslationRow, TranslationTable, UnmappedPolicy

__all__ = [
    "AttachmentMapping",
    "Condition",
    "ConditionGroup",
    "Counter",
    "DelayCondition",
    "DelayKind",
    "DraftTest",
    "Lookup",
    "LookupMode",
    "Mapping",
    "MappingCategory",
    "MappingKind",
    "MissingPolicy",
    "OnlyOn",
    "Ownership",
    "Revision",
    "RoutingRule",
    "RuleAction",
    "RuleInForce",
    "RuleVersion",
    "TranslationRow",
    "TranslationTable",
    "UnmappedPolicy",
    "default_operations",
]
