from dataclasses import dataclass


@dataclass
class TokenCounts:
    output_tokens: int = None


@dataclass
class GenerationResult:
    text: str
    token_counts: TokenCounts = None


@dataclass
class Instance:
    request_type: str
    arguments: tuple
    idx: int = 0
    metadata: dict = None

    @property
    def args(self):
        return self.arguments
