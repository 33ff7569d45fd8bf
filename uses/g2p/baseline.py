"""The baseline: each letter's most frequent phonemes, by its neighbours.

1. Letters and phonemes are aligned: each letter stands for 0, 1 or 2 phonemes. The alignment of a word is the most probable one under
   the counts of the alignments before; three rounds, from counts by position.
2. A letter between two letters on each side gets the phonemes that it most often has between these in training. Where they do not
   occur in training, one letter on the left and two on the right decide, then one on each side, one on the right, none.
"""

import collections
import math

import dictionary

# Letters on the left and on the right, from the widest window.
WINDOWS = [(2, 2), (1, 2), (1, 1), (0, 1), (0, 0)]
# The cost of a group that a letter has not had yet, about that of one in three million.
UNSEEN = 15.0


def align(word, phonemes, costs):
    """The cheapest cut of `phonemes` into one group of 0 to 2 for each letter; none where there is no such cut.

    A group costs `costs[letter, group]`, or without costs the distance of its place in the word from that of its letter."""
    best, slope = {0: (0.0, ())}, len(phonemes) / len(word)
    for at, letter in enumerate(word):
        left = len(word) - at - 1
        following = {}
        for end, (total, groups) in best.items():
            for size in range(3):
                to = end + size
                if to > len(phonemes) or len(phonemes) - to > 2 * left:
                    continue
                group = phonemes[end:to]
                if costs is None:
                    sum_of = total + abs(end + size / 2 - (at + 0.5) * slope)
                else:
                    sum_of = total + costs.get((letter, group), UNSEEN)
                if to not in following or sum_of < following[to][0]:
                    following[to] = (sum_of, (*groups, group))
        best = following
    return best[len(phonemes)][1] if len(phonemes) in best else None


class Baseline:
    """Learned from {word: [pronunciation, ...]}."""

    def __init__(self, words):
        pairs = [(word, listed[0]) for word, listed in words.items()]
        counts = collections.Counter()
        for round_ in range(3):
            totals = collections.Counter()
            for (letter, _), count in counts.items():
                totals[letter] += count
            costs = {key: math.log(totals[key[0]] / count) for key, count in counts.items()}
            aligned, counts = [], collections.Counter()
            for word, phonemes in pairs:
                groups = align(word, phonemes, costs if round_ else None)
                if groups is not None:
                    aligned.append((word, groups))
                    counts.update(zip(word, groups))
        seen = [collections.defaultdict(collections.Counter) for _ in WINDOWS]
        for word, groups in aligned:
            for at, group in enumerate(groups):
                for n, window in enumerate(WINDOWS):
                    seen[n][self.context(word, at, *window)][group] += 1
        self.rules = [{key: max(groups, key=groups.get) for key, groups in by.items()} for by in seen]

    @staticmethod
    def context(word, at, left, right):
        padded = f"__{word}__"
        return padded[at + 2 - left : at + 3 + right]

    def speak(self, word):
        """The pronunciation of a word."""
        spoken = []
        for at in range(len(word)):
            for n, window in enumerate(WINDOWS):
                group = self.rules[n].get(self.context(word, at, *window))
                if group is not None:
                    spoken.extend(group)
                    break
        return tuple(spoken)


if __name__ == "__main__":
    WORDS = dictionary.read(dictionary.default_path())
    BASELINE = Baseline({word: listed for word, listed in WORDS.items() if dictionary.part(word) == "train"})
    SPOKEN = {word: BASELINE.speak(word) for word in WORDS if dictionary.part(word) == "test"}
    print("held out: PER {:.2f} %, WER {:.2f} %".format(*dictionary.rates(WORDS, SPOKEN)))
