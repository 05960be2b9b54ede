from fusion_core.runtime.message_filter import MessageFilter


def test_alternating_messages_are_new_once():
    messages = MessageFilter()
    assert [messages.is_new(text) for text in "ababab"] == [True, True] + [False] * 4


def test_endless_new_messages_are_bounded():
    messages = MessageFilter(capacity=10)
    assert sum(messages.is_new(f"bad encoding {number}") for number in range(1000)) == 10
