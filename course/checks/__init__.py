"""One file per lesson: `check_2` of `lesson_03` looks at an answer to exercise 03-2.

Its docstring is the first hint, for who has not begun. It raises a hint about what is wrong with
the answer, the likely mistakes first, and says nothing about one that is right.
"""
