"""A fake of Abacus.AI, served over loopback, that the real ``abacusai`` package works with.

It keeps to the wire contract of that package (paths, verbs, headers, envelope, names of results) and to what the
package documents of the service: uploads in parts that are joined and imported, versions of datasets, feature groups of
datasets and merged over their versions, keys, tags, rows written online. Status words move on by one with every
question, so that nobody has to wait. What the real service says where the package is silent (texts of errors, the form
of rejected rows) is this fake's own choice. ``faults.py`` has it go wrong on request.
"""
