"""A report for its readers: terminal, CSV, Markdown, one HTML page. JSON is the record itself."""
