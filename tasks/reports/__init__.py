"""Reports of a day, a week or a month: one set of figures and pictures, as Markdown, HTML and PDF."""
