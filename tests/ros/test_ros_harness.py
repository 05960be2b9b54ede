"""The robot around the node: one test's error is not the end of the others."""

from robot import repeat_until
from std_msgs.msg import Header


def test_an_error_in_a_callback_or_a_lost_entity_does_not_end_the_robot(robot):
    def broken(_message):
        raise ValueError("broken")

    publisher = robot.advertise(Header, "/harness", 10)
    subscriptions = [robot.subscribe(Header, "/harness", broken, 10) for _ in range(2)]
    arrived = []
    repeat_until(lambda: publisher.publish(Header()), lambda: robot.errors, "the error", 0.1)
    # Withdrawn while its messages arrive.
    for subscription in subscriptions:
        robot.withdraw(subscription)
    assert {str(error) for error in robot.errors} == {"broken"}
    robot.errors.clear()
    listener = robot.subscribe(Header, "/harness", arrived.append, 10)
    repeat_until(lambda: publisher.publish(Header()), lambda: arrived, "a message", 0.1)
    for entity in (listener, publisher):
        robot.withdraw(entity)
    assert robot.errors == []
