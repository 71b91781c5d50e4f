// The classic renderer folds advanced widgets away, as Nodes 2.0 does, behind a button at the end of the node. A widget with a
// connection stays in sight.

import { app } from "../../../scripts/app.js"
import { say } from "./words.js"

/** Show the advanced widgets of a node, or fold them; the node grows and shrinks by what they take. */
function toggle(node) {
  const before = node.computeSize()[1]
  node.showAdvanced = !node.showAdvanced
  node.setSize([node.size[0], node.size[1] + node.computeSize()[1] - before])
  node.setDirtyCanvas(true, true)
}

app.registerExtension({
  name: "codeformer.advanced",
  nodeCreated(node) {
    const folded = node.comfyClass?.startsWith("CodeFormer") ? (node.widgets ?? []).filter((widget) => widget.options?.advanced) : []
    if (!folded.length) return
    for (const widget of folded) {
      const linked = () => node.inputs?.some((input) => input.widget?.name === widget.name && input.link != null)
      const hidden = () => !node.showAdvanced && !linked() // Nodes 2.0 does not ask, but sizes nodes by it
      Object.defineProperty(widget, "hidden", { get: hidden, set() {}, configurable: true })
    }
    const button = node.addWidget("button", "codeformer_advanced", null, () => toggle(node), { canvasOnly: true, serialize: false })
    button.serialize = false
    const label = () => (node.showAdvanced ? `▴ ${say("fewer")}` : `▾ ${say("advanced")}`)
    Object.defineProperty(button, "label", { get: label, set() {}, configurable: true })
  },
})
