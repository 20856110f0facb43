"""AutoRAG projects on proctor's ranks: `proctor autorag CONFIG.yaml --qa FILE --corpus FILE --project DIR` (docs/autorag.md)."""
