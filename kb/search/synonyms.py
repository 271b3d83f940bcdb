"""Words that are written in several ways, and words that engineers use interchangeably. Both are applied to queries
only: documents keep their own words, and a change here needs no rebuild.

Each line is a set, separated by commas, in lower case and not stemmed. Hyphens are spaces here: a compound such as
`fail-over` is the same two words in a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from kb.search.analysis import is_stop, stems
from kb.search.nodes import And, Node, Not, Or, Phrase, Term, Text, conjunction, disjunction, negation

# One word in different spellings, which all count the same.
SPELLINGS = [
    "autoscaler, auto scaler",
    "autoscalers, auto scalers",
    "autoscaling, auto scaling",
    "backend, back end",
    "backends, back ends",
    "backlog, back log",
    "backoff, back off",
    "backport, back port",
    "backpressure, back pressure",
    "blackhole, black hole",
    "bottleneck, bottle neck",
    "brownout, brown out",
    "callback, call back",
    "changelog, change log",
    "checkout, check out",
    "checksum, check sum",
    "cleanup, clean up",
    "codebase, code base",
    "cooldown, cool down",
    "crashloop, crash loop",
    "crashlooping, crash looping",
    "cutover, cut over",
    "database, data base",
    "databases, data bases",
    "datacenter, data center",
    "datacenters, data centers",
    "dataset, data set",
    "datastore, data store",
    "deadlock, dead lock",
    "dropdown, drop down",
    "email, e mail",
    "emails, e mails",
    "endpoint, end point",
    "endpoints, end points",
    "failback, fail back",
    "failover, fail over",
    "failovers, fail overs",
    "fallback, fall back",
    "filesystem, file system",
    "filesystems, file systems",
    "frontend, front end",
    "frontends, front ends",
    "handoff, hand off",
    "handshake, hand shake",
    "hardcoded, hard coded",
    "healthcheck, health check",
    "healthchecks, health checks",
    "hostname, host name",
    "hostnames, host names",
    "hotfix, hot fix",
    "hotspot, hot spot",
    "keepalive, keep alive",
    "lifecycle, life cycle",
    "loadbalancer, load balancer",
    "loadbalancers, load balancers",
    "lockout, lock out",
    "lockup, lock up",
    "logout, log out",
    "meltdown, melt down",
    "microservice, micro service",
    "microservices, micro services",
    "middleware, middle ware",
    "misconfiguration, mis configuration",
    "misconfigured, mis configured",
    "multiregion, multi region",
    "nameserver, name server",
    "nameservers, name servers",
    "namespace, name space",
    "overload, over load",
    "playbook, play book",
    "postmortem, post mortem",
    "postmortems, post mortems",
    "ratelimit, rate limit",
    "ratelimiting, rate limiting",
    "readonly, read only",
    "rollback, roll back",
    "rollbacks, roll backs",
    "rollout, roll out",
    "rollouts, roll outs",
    "runbook, run book",
    "runbooks, run books",
    "runtime, run time",
    "segfault, seg fault",
    "setup, set up",
    "shutdown, shut down",
    "shutdowns, shut downs",
    "slowdown, slow down",
    "spinlock, spin lock",
    "startup, start up",
    "subdomain, sub domain",
    "subsystem, sub system",
    "switchover, switch over",
    "takedown, take down",
    "takeover, take over",
    "timeout, time out",
    "timeouts, time outs",
    "timestamp, time stamp",
    "timestamps, time stamps",
    "timezone, time zone",
    "timezones, time zones",
    "username, user name",
    "usernames, user names",
    "warmup, warm up",
    "webhook, web hook",
    "webhooks, web hooks",
    "whitelist, white list",
    "workaround, work around",
    "workflow, work flow",
    "workload, work load",
    "writeup, write up",
]

# The weight of a synonym, where the word itself counts 1.
WEIGHT = 0.3

SYNONYMS = [
    "k8s, kubernetes",
    "db, database",
    "dbs, databases",
    "postgres, postgresql",
    "mongo, mongodb",
    "es, elasticsearch",
    "oom, oomkilled, out of memory",
    "enospc, disk full, full disk, no space left",
    "ram, memory",
    "ddos, denial of service",
    "cert, certificate",
    "certs, certificates",
    "lb, load balancer",
    "elb, elastic load balancer",
    "az, availability zone",
    "azs, availability zones",
    "dc, data center",
    "ssl, tls",
    "auth, authentication",
    "mfa, 2fa, multi factor, two factor, second factor",
    "sso, single sign on",
    "creds, credentials",
    "perms, permissions",
    "prod, production",
    "app, application",
    "apps, applications",
    "infra, infrastructure",
    "repo, repository",
    "repos, repositories",
    "config, configuration",
    "configs, configurations",
    "cpu, processor",
    "disk, volume",
    "hdd, hard drive",
    "ups, uninterruptible power supply",
    "ntp, network time protocol",
    "waf, web application firewall",
    "cdn, content delivery network",
    "sre, site reliability engineer",
    "mttr, time to recover",
    "spof, single point of failure",
    "gc, garbage collection",
    "ha, high availability",
    "iops, disk operations",
    "rca, root cause analysis",
    "pop, point of presence",
    "isp, internet provider, internet service provider",
    "gcp, google cloud",
    "bsod, blue screen",
    "vm, virtual machine",
    "vms, virtual machines",
    "fd, file descriptor, open file",
    "fds, file descriptors, open files",
    "rollback, revert",
    "outage, downtime",
    "regex, regexp, regular expression",
    "regexes, regexps, regular expressions",
    "jan, january",
    "feb, february",
    "apr, april",
    "jun, june",
    "jul, july",
    "aug, august",
    "sep, sept, september",
    "oct, october",
    "nov, november",
    "dec, december",
]


@cache
def _table() -> dict[tuple[str, ...], list[Text]]:
    """For every spelling and synonym, its alternatives. The key is its stems without stop words, as in a query. The
    alternatives have all of their stems, as in a text."""
    found: dict[tuple[str, ...], list[Text]] = {}
    spelled: dict[str, list[str]] = {}
    for line in SPELLINGS:
        members = line.split(", ")
        spelled |= dict.fromkeys(members, members)
        _enter(found, members, 1.0)
    for line in SYNONYMS:
        _enter(found, [one for member in line.split(", ") for one in spelled.get(member, [member])], WEIGHT)
    return found


def _enter(found: dict[tuple[str, ...], list[Text]], members: list[str], weight: float) -> None:
    texts = {member: _text(tuple(stems(member)), weight) for member in members}
    for member in members:
        key = tuple(stem for word in member.split() if not is_stop(word) for stem in stems(word))
        found.setdefault(key, []).extend(text for other, text in texts.items() if other != member)


def _text(words: tuple[str, ...], weight: float) -> Text:
    return Phrase(words, weight=weight) if len(words) > 1 else Term(words[0], weight=weight)


def expanded(root: Node | None) -> Node | None:
    """The query with each word, each run of words and each compound that has other spellings or synonyms replaced by an
    OR with them. What is in quotes is kept as it was written."""
    match root:
        case And(children=children):
            return conjunction(map(_expanded_run, _runs(children)))
        case Or(children=children):
            return disjunction(map(expanded, children))
        case Not(child=child):
            return negation(expanded(child))
        case Term(stem=stem, quoted=False):
            return disjunction([root, *_table().get((stem,), []), *_apart(stem)])
        case Phrase(stems=words, quoted=False):
            key = tuple(stem for stem in words if not is_stop(stem))
            return disjunction([root, *_table().get(key, []), *_joined(root)])
    return root


# The longest number whose thousands are looked for, in digits. Longer ones are identifiers, and are not written so.
_LONGEST_NUMBER = 12
_LETTERS_AND_NUMBER = re.compile("([a-z]+)([0-9]+)|([0-9]+)([a-z]+)")
_WITH_THOUSANDS = re.compile("[0-9]{1,3}(?:,[0-9]{3})+")
_LETTERS = r"([^\W\d_]+)"
_TWO_PARTS = re.compile(f"{_LETTERS}-{_LETTERS}|{_LETTERS}[-/]([0-9]+)|([0-9]+)-{_LETTERS}")


def _apart(word: str) -> list[Text]:
    """A number with its thousands apart (65536 as 65,536), and letters with a number as two words (http3 as HTTP/3)."""
    if word.isascii() and word.isdigit() and 3 < len(word) <= _LONGEST_NUMBER:
        return [_text(tuple(f"{int(word):,}".split(",")), 1.0)] if word[0] != "0" else []
    match = _LETTERS_AND_NUMBER.fullmatch(word)
    return [_text(tuple(stems(" ".join(filter(None, match.groups())))), 1.0)] if match else []


def _joined(compound: Phrase) -> list[Text]:
    """A compound as one word: two words such as `re-deploy`, letters and a number such as `HTTP/3`, or a number whose
    thousands are apart."""
    if _WITH_THOUSANDS.fullmatch(compound.text):
        return [Term(compound.text.replace(",", ""))]
    match = _TWO_PARTS.fullmatch(compound.text)
    return [_text(tuple(stems("".join(filter(None, match.groups())))), 1.0)] if match else []


def _runs(children: tuple[Node, ...]) -> Iterator[tuple[Node, ...]]:
    """All children in order: runs of words that spell a synonym as one tuple, the others one by one."""
    table = _table()
    longest, place = max(map(len, table)), 0
    while place < len(children):
        lengths = range(min(longest, len(children) - place), 1, -1)
        length = next((n for n in lengths if _key(children[place : place + n]) in table), 1)
        yield children[place : place + length]
        place += length


def _key(children: tuple[Node, ...]) -> tuple[str, ...]:
    return tuple(child.stem if isinstance(child, Term) and not child.quoted else "" for child in children)


def _expanded_run(children: tuple[Node, ...]) -> Node | None:
    separately = conjunction(map(expanded, children))
    return disjunction([separately, *_table()[_key(children)]]) if len(children) > 1 else separately
