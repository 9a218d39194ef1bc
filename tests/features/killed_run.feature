Feature: A killed run resumes
  Whatever ends a training, the same command goes on with it, and the result does not show it.

  Scenario: Training is killed between two checkpoints
    Given two equal workspaces with a longer training before them
    When one of them trains without a break
    And the other is killed with -9 after its first checkpoint
    And the killed one is run again
    Then it says from which step it goes on
    And both have the same model, byte for byte
    And the learning curve has every step once

  Scenario: Nothing is left behind by a kill
    Given two equal workspaces with a longer training before them
    When the other is killed with -9 after its first checkpoint
    And the killed one is run again
    Then no temporary file is left in data
    And "dvc status" of it finds nothing to do for pretrain
