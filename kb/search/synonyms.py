"""Words that engineers use interchangeably. Synonyms are applied to queries only: documents keep their own words, and
a change here needs no rebuild.

Each line is a set of synonyms, separated by commas, in lower case and not stemmed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from kb.search.analysis import is_stop, stems
from kb.search.nodes import And, Node, Not, Or, Phrase, Term, Text, conjunction, disjunction, negation

# The weight of a synonym, where the word itself counts 1.
WEIGHT = 0.3

SYNONYMS = [
    "k8s, kubernetes",
    "db, database",
    "dbs, databases",
    "postgres, postgresql",
    "mongo, mongodb",
    "es, elasticsearch",
    "oom, out of memory",
    "ddos, denial of service",
    "cert, certificate",
    "certs, certificates",
    "lb, load balancer",
    "elb, elastic load balancer",
    "az, availability zone",
    "azs, availability zones",
    "dc, data center, data centre, datacenter, datacentre",
    "ssl, tls",
    "auth, authentication",
    "config, configuration",
    "configs, configurations",
    "cpu, processor",
    "disk, volume",
    "hdd, hard drive",
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
    "vm, virtual machine",
    "vms, virtual machines",
    "fd, file descriptor",
    "fds, file descriptors",
    "rollback, revert",
    "postmortem, post mortem",
    "outage, downtime",
    "regex, regexp, regular expression",
    "regexes, regexps, regular expressions",
]


@cache
def _table() -> dict[tuple[str, ...], list[Text]]:
    """For every synonym, its alternatives. The key is its stems without stop words, as in a query. The alternatives
    have all of their stems, as in a text."""
    found: dict[tuple[str, ...], list[Text]] = {}
    for line in SYNONYMS:
        members = [member.strip() for member in line.split(",")]
        texts = {
            member: Term(words[0]) if len(words := tuple(stems(member))) == 1 else Phrase(words) for member in members
        }
        for member in members:
            key = tuple(stem for word in member.split() if not is_stop(word) for stem in stems(word))
            found.setdefault(key, []).extend(text for other, text in texts.items() if other != member)
    return found


def expanded(root: Node | None) -> Node | None:
    """The query with each word, and each run of words, that has synonyms replaced by an OR with them. What is in quotes
    is kept as it was written."""
    match root:
        case And(children=children):
            return conjunction(map(_expanded_run, _runs(children)))
        case Or(children=children):
            return disjunction(map(expanded, children))
        case Not(child=child):
            return negation(expanded(child))
        case Term(stem=stem, quoted=False):
            return disjunction([root, *_table().get((stem,), [])])
    return root


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
