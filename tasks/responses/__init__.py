"""What Lodeline does by itself about an alert, where an operator has turned that on: docs/responses.md."""
