"""The enumerations of the record. Their values are part of the API: new ones can be added, none renamed."""

from __future__ import annotations

from django.db.models import TextChoices


class Origin(TextChoices):
    OWN = "own", "Ours"
    FAMOUS = "famous", "Famous"
    IMPORTED = "imported", "Imported"


class Severity(TextChoices):
    SEV1 = "sev1", "SEV 1"
    SEV2 = "sev2", "SEV 2"
    SEV3 = "sev3", "SEV 3"
    SEV4 = "sev4", "SEV 4"


class Status(TextChoices):
    DRAFT = "draft", "Draft"
    IN_REVIEW = "in_review", "In review"
    PUBLISHED = "published", "Published"
    ARCHIVED = "archived", "Archived"


class Visibility(TextChoices):
    PUBLIC = "public", "Public"
    INTERNAL = "internal", "Internal"
    TEAM = "team", "Team only"


class DetectedBy(TextChoices):
    ALERT = "alert", "Alert"
    CUSTOMER = "customer", "Customer"
    STAFF = "staff", "Staff"
    OUTSIDER = "outsider", "Outsider"


class Mitigation(TextChoices):
    ROLLBACK = "rollback", "Rollback"
    FIX_FORWARD = "fix_forward", "Fix forward"
    FAILOVER = "failover", "Failover"
    RESTART = "restart", "Restart"
    RESTORE = "restore", "Restore from backup"
    THROTTLE = "throttle", "Throttle or shed load"
    ADD_CAPACITY = "add_capacity", "Add capacity"
    ISOLATE = "isolate", "Isolate"
    WAIT = "wait", "Wait"
    OTHER = "other", "Other"


class Precision(TextChoices):
    SECOND = "second", "to the second"
    MINUTE = "minute", "to the minute"
    HOUR = "hour", "to the hour"
    DAY = "day", "to the day"
    MONTH = "month", "to the month"
    YEAR = "year", "to the year"


class Family(TextChoices):
    """The ten families of causes and patterns."""

    CHANGE = "change", "A change we made"
    LOAD = "load", "Demand and capacity"
    NETWORK = "network", "Naming, routing and connectivity"
    DATA = "data", "Storage and state"
    DEPENDENCY = "dependency", "Things we rely on"
    TRUST = "trust", "Expiry, identity and attack"
    TIME = "time", "Clocks and calendars"
    PHYSICAL = "physical", "Power, cooling and hardware"
    CODE = "code", "Defects in behaviour"
    RESPONSE = "response", "How we noticed and recovered"


class CauseKind(TextChoices):
    TRIGGER = "trigger", "Trigger"
    ROOT = "root", "Root cause"
    CONTRIBUTING = "contributing", "Contributing factor"


class EventKind(TextChoices):
    CHANGE = "change", "Change"
    IMPACT = "impact", "Impact"
    DETECT = "detect", "Detected"
    ESCALATE = "escalate", "Escalated"
    DIAGNOSE = "diagnose", "Diagnosed"
    MITIGATE = "mitigate", "Mitigated"
    RESOLVE = "resolve", "Resolved"
    COMMUNICATE = "communicate", "Communicated"
    OTHER = "other", "Other"


class ActionKind(TextChoices):
    PREVENT = "prevent", "Prevent"
    DETECT = "detect", "Detect"
    MITIGATE = "mitigate", "Mitigate"
    PROCESS = "process", "Process"


class ActionState(TextChoices):
    OPEN = "open", "Open"
    IN_PROGRESS = "in_progress", "In progress"
    DONE = "done", "Done"
    DROPPED = "dropped", "Dropped"
    ANNOUNCED = "announced", "Announced"


class LinkKind(TextChoices):
    SAME_EVENT = "same_event", "Same event"
    PART_OF = "part_of", "Part of"
    CAUSED_BY = "caused_by", "Caused by"
    RECURRENCE_OF = "recurrence_of", "Recurrence of"
    RELATED = "related", "Related"

    @property
    def is_symmetric(self) -> bool:
        """Does it say the same of either incident?"""
        return self in (LinkKind.SAME_EVENT, LinkKind.RELATED)


class Qualifier(TextChoices):
    EXACTLY = "exactly", ""
    ABOUT = "about", "about"
    AT_LEAST = "at_least", "at least"
    AT_MOST = "at_most", "at most"


class Role(TextChoices):
    READER = "reader", "Reader"
    AUTHOR = "author", "Author"
    LEAD = "lead", "Lead"


class ReviewState(TextChoices):
    ASKED = "asked", "Asked"
    APPROVED = "approved", "Approved"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"


class SectionKind(TextChoices):
    PROSE = "prose", "Prose"
    RECORDS = "records", "Records"
