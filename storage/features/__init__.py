"""The feature store: values of an entity as they were known at any moment (offline) and as they are now (online).

- ``view.py``, ``views.py``: what a feature view is, and all of them, declared from the record schemas;
- ``registry.py``: the fingerprint that every version of a view was published with;
- ``rows.py``: rows of a tier as rows of a view;
- ``publish.py``: what is new or was corrected, into ``<lake>/features`` (``table.py``), with its ``books.py``;
- ``turn.py``: one publication at a time; ``following.py``: from the tables to the online store;
- ``changes.py``: rows that became known between two moments, for an export that repeats and skips nothing;
- ``join.py``: point-in-time join, pure; ``offline.py``: over the published tables;
- ``online.py``: newest row of each entity, in SQLite; ``reading.py``: what both answer.

Three times: a row is *of* its event time, the end of its window; it is *known* from the publication that first had it;
a question is asked *at* a time and sees what was known then (docs/decisions/0013-features-by-known-time.md).
"""
