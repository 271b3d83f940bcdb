"""Words that on-call people use for one another. Applied to queries only: documents keep their own words, and a
change needs no rebuild on the database engines.

Each line is a set of equals, in the form of Elasticsearch's synonym filter, lower case, before stemming.
"""

from __future__ import annotations

from functools import cache

from kb.search.analysis import stems
from kb.search.nodes import Node, Phrase, Term, disjunction, rebuild

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
def _table() -> dict[str, list[Term | Phrase]]:
    """For every single word in a set: the other members, as what a text would hold."""
    found: dict[str, list[Term | Phrase]] = {}
    for line in SYNONYMS:
        members = [tuple(stems(member)) for member in line.split(",")]
        for member in members:
            if len(member) == 1:
                others = found.setdefault(member[0], [])
                others += [
                    Term(other[0], "") if len(other) == 1 else Phrase(other, "") for other in members if other != member
                ]
    return found


def expanded(root: Node | None) -> Node | None:
    """The query with every word that has synonyms as any of them. Quoted phrases stay as they were written."""
    table = _table()
    return rebuild(
        root, lambda leaf: disjunction([leaf, *table.get(leaf.stem, [])]) if isinstance(leaf, Term) else leaf
    )
