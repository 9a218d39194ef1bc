Feature: A first model
  Somebody with a folder of texts gets a registered language model by one command, and sees what happened.

  Scenario: A folder of texts becomes a registered model
    Given a workspace with a folder of texts, in which nothing had run
    When "tisslm run" has ended
    Then it ended well
    And there was one line for every stage
    And a table showed bits per byte beside the baselines
    And the registered model wrote a sample
    And the registry has a champion
    And git sees no change but in params.yaml, dvc.lock and the stage's list of texts

  Scenario: The model opens where people expect it to
    Given a workspace with a folder of texts, in which nothing had run
    When "tisslm run" has ended
    Then transformers opens the published folder as a Llama and continues a text with it
    And the report is one page that loads nothing from a network

  Scenario: A model writes on request
    Given a workspace with a folder of texts, in which nothing had run
    When "tisslm run" has ended
    And I run "tisslm generate 'The farmer carried' --max-new-tokens 12 --seed 3" twice
    Then both times the same text comes out
