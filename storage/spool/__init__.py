"""The spool: the durable point of every host. What a tick collected is here, fsynced, before anything else is tried.

Files of a lane, in the folder with its name:

=============================== ===================================================================================
``<sequence>-<points>.spool``   segments of records; the name says where it begins (segment.py, codec.py)
``lane.id``                     identity; another one when the lane is begun anew
``mark.<sink>.json``            how far a sink has come, and what became of every point until there (mark.py)
``lag.<sink>.json``             how late the sink got what was read (storage/delivery)
``dead.<sink>.jsonl``           points that the sink will never take, with its words (storage/delivery)
``trouble.<sink>.json``         why the sink takes nothing just now; there only while it lasts (storage/delivery)
``shed.jsonl``                  segments that the size cap dropped (shed.py)
``quarantine/``                 bytes that are no intact record: torn by a crash or damaged on the disk
``lock.writer, lock.<sink>``    who writes and who delivers; the kernel frees them
=============================== ===================================================================================

It must lie on a local file system. To be rid of a sink for good, remove its mark.
"""
