"""Memory: conversations, the messages that came in, the deliveries that go out, and what happened to them."""

from conversations.models.attachment import Attachment, AttachmentChunk
from conversations.models.conflict import Conflict, ConflictSide
from conversations.models.conversation import Conversation, Participant, RemoteItem
from conversations.models.delivery import (
    DELAYS,
    UNDER_WAY,
    UNFINISHED,
    Attempt,
    Delivery,
    DeliveryContent,
    DeliveryState,
    HoldReason,
    Lane,
    Reason,
)
from conversations.models.golden import GoldenTicket
from conversations.models.lookup import LookupAnswer
from conversations.models.message import (
    FILE_KEPT,
    NEEDS_YOU,
    Message,
    MessageBody,
    MessageQuerySet,
    MessageState,
)
from conversations.models.observed import ObservedEntity
from conversations.models.payload_view import PayloadView
from conversations.models.replaced import REPLACED, ReplacedTicket
from conversations.models.replay import (
    Replay,
    ReplayData,
    ReplayFinding,
    ReplayItem,
    ReplayItemState,
    ReplayRules,
    ReplayState,
    ReplayTickets,
)
from conversations.models.statistics import HourlyCount

__all__ = [
    "DELAYS",
    "FILE_KEPT",
    "NEEDS_YOU",
    "REPLACED",
    "UNDER_WAY",
    "UNFINISHED",
    "Attachment",
    "AttachmentChunk",
    "Attempt",
    "Conflict",
    "ConflictSide",
    "Conversation",
    "Delivery",
    "DeliveryContent",
    "DeliveryState",
    "GoldenTicket",
    "HoldReason",
    "HourlyCount",
    "Lane",
    "LookupAnswer",
    "Message",
    "MessageBody",
    "MessageQuerySet",
    "MessageState",
    "ObservedEntity",
    "Participant",
    "PayloadView",
    "Reason",
    "RemoteItem",
    "ReplacedTicket",
    "Replay",
    "ReplayData",
    "ReplayFinding",
    "ReplayItem",
    "ReplayItemState",
    "ReplayRules",
    "ReplayState",
    "ReplayTickets",
]
