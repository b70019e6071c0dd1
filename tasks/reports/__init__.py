"""Reports of a day or a week: one set of figures, as Markdown for people and mail and as HTML for a browser."""
