Feature: A wrong parameter
  A slip in a parameter is one line that says what to do, before anything has run.

  Scenario Outline: A wrong value on the command line
    Given a fresh workspace
    When I run "tisslm run --set <assignment>"
    Then it ends with exit code 2
    And the error is one line that contains "<words>"
    And params.yaml has the same bytes as before
    And nothing has run

    Examples:
      | assignment                  | words                                     |
      | pretrain.learning_rate=-1   | pretrain.learning_rate = -1               |
      | pretrain.lerning_rate=0.1   | did you mean pretrain.learning_rate?      |
      | pretrain.steps=many         | pretrain.steps = 'many'                   |
      | clean.test_fraction=0.9     | (fraction)                                |
      | pretrian.steps=5            | pretrain                                  |
      | pretrain.model.n_heads=3    | not a multiple of n_heads 3               |

  Scenario: A wrong value in the file
    Given a fresh workspace
    When params.yaml says that pretrain.steps is 0
    And I run "tisslm run"
    Then it ends with exit code 2
    And the error is one line that contains "pretrain.steps = 0"
    And nothing has run

  Scenario: A preset that does not exist
    Given a fresh workspace
    When I run "tisslm run --preset smok"
    Then it ends with exit code 2
    And the error is one line that contains "smoke"
    And nothing has run
