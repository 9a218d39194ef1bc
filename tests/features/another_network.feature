Feature: Another network
  Somebody names other parts of the network in params.yaml, and every later stage follows.

  Scenario Outline: The parts are named, the rest follows
    Given a finished workspace
    When I name the parts <parts>
    Then it ends well
    And the published folder says <class>
    And its int8 weights are less than a third of the size, cost next to nothing and continue a text
    And the card opens the model in <library>
    And the registry's champion or candidate is traced from the published folder

    Examples:
      | class           | library      | parts                                                                                                                          |
      | GPT2LMHeadModel | transformers | norm.kind=layer position.kind=learned attention.bias=all feedforward.kind=gelu_tanh feedforward.bias=true n_kv_heads=2           |
      | TissLMDecoder   | tisslm       | mixers=AM experts.n_experts=4 experts.pattern=ED embedding.kind=adaptive embedding.cutoffs=[200] tie_embeddings=false            |

  Scenario: Parts that do not go together are refused before anything runs
    Given a finished workspace
    When I name the parts mixers=AM depth.exit_every=1
    Then it ends with exit code 2
    And the error is one line that contains "depth: tokens can only leave out attention"
    And nothing has run
    And params.yaml has the same bytes as before
