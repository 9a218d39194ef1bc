Feature: Nothing is done twice
  A run does only what a change asks for, whichever command starts it.

  Scenario: Nothing changed
    Given a finished workspace
    When I run "tisslm run"
    Then it ends well
    And it says that nothing changed
    And dvc.lock has the same bytes as before
    And no data has been written

  Scenario: Another command finds nothing to do either
    Given a finished workspace
    When I run "dvc repro"
    Then it ends well
    And it says that data and pipelines are up to date
    And dvc.lock has the same bytes as before

  Scenario: Another learning rate does not clean the texts again
    Given a finished workspace
    When I run "tisslm run --set pretrain.learning_rate=0.0021"
    Then it ends well
    And these stages worked: pretrain, evaluate, quantize, publish
    And these stages were unchanged: ingest, clean, tokenizer, tokenize

  Scenario: A text that was added asks for everything again
    Given a finished workspace
    When a text is added to the folder of texts
    And I run "dvc status"
    Then it says that stage ingest has changed
