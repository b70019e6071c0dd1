"""The one declaration: every measurement, field, unit, tier and bucket of Lodeline, declared once.

Line protocol, Arrow and SQL schemas, roll-ups, queries, panels and docs/data-dictionary.md are generated from it.
"""

from storage.declaration import audit, derived, event, market, miner, payload, pipeline, pool
from storage.declaration.bucket import BUCKETS, Bucket, Tier
from storage.declaration.field import Field, Kind, Tag, Type
from storage.declaration.measurement import Measurement

MEASUREMENTS: dict[str, Measurement] = {
    declared.name: declared
    for room in (miner, event, payload, pool, market, derived, pipeline, audit)
    for declared in vars(room).values()
    if isinstance(declared, Measurement)
}

__all__ = ["BUCKETS", "MEASUREMENTS", "Bucket", "Field", "Kind", "Measurement", "Tag", "Tier", "Type"]
