// What predictors expect of the network, without training it.

export class Prediction {
  constructor(panel) {
    panel.append("…");
  }

  update() {}
}
