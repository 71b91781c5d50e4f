// Fix Faces among the first in ComfyUI's node search: it ranks by where the text stands in a node's name, and "face" begins the
// names of others. Where the text is no part of its name it only comes first among equals; other nodes keep their ranks.

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
      if (this.name !== definition.name) return [rank, ...others]
      const better = rank <= PART_OF_THE_NAME ? Math.min(rank, BEGINNING) : rank
      return [better, -Infinity, ...others.slice(1)] // first among equals
    }
  },
})
