// Colours of the pack's socket types and of its nodes' titles. Nodes 2.0 takes those of sockets from style.css; the canvas, which
// draws all links, takes them from two tables that ComfyUI empties whenever the theme changes.

import { app } from "../../../scripts/app.js"

const TYPES = ["CODEFORMER_MODEL", "CODEFORMER_DETECTOR", "CODEFORMER_PARSER", "CODEFORMER_BACKGROUND", "CODEFORMER_FACES"]

/** ComfyUI lightens it in light themes. */
const TITLE = "#1b3335"

/** Give a table of colours ours, unless a theme has its own. */
function colour(table, type) {
  let themed = ""
  Object.defineProperty(table, type, {
    get: () => themed || getComputedStyle(document.documentElement).getPropertyValue(`--color-datatype-${type}`).trim(),
    set: (value) => (themed = value),
    enumerable: true,
    configurable: true,
  })
}

app.registerExtension({
  name: "codeformer.colours",
  setup() {
    for (const table of [app.canvas.default_connection_color_byType, LGraphCanvas.link_type_colors])
      for (const type of TYPES) colour(table, type)
  },
  nodeCreated(node) {
    if (node.comfyClass?.startsWith("CodeFormer")) node.color ??= TITLE
  },
})
