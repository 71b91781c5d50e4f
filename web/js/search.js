// Fix Faces among the first in ComfyUI's node search: it ranks by where the text stands in a node's name, and "face" begins the
// names of others. Only when the text is part of the name of Fix Faces; other nodes keep their ranks.

import { app } from "../../../scripts/app.js"

const PART_OF_THE_NAME = 3 // ComfyUI's ranks: 0 the whole name, 1 its beginning, 2 a word of it, 3 a part of it
const BEGINNING = 1

app.registerExtension({
  name: "codeformer.search",
  setup() {
    const definition = LiteGraph.registered_node_types.CodeFormerFixFaces?.nodeData
    const all = definition && Object.getPrototypeOf(definition)
    const ranked = all?.postProcessSearchScores
    if (!ranked) return
    all.postProcessSearchScores = function (scores) {
      const [rank, ...others] = ranked.call(this, scores)
      if (this.name !== definition.name || rank === 0 || rank > PART_OF_THE_NAME) return [rank, ...others]
      return [BEGINNING, -Infinity, ...others.slice(1)]
    }
  },
})
