"""The verb `report`: one page of results; it reads files and needs no torch."""
