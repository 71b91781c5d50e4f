// Fidelity Sweep: the face at each fidelity; a click on one writes that fidelity into the node that repairs the same faces.

import { Panel, fileAddress, registerPanel } from "./panel.js"
import { element, say } from "./words.js"
import { followFaces, linkOf } from "./wiring.js"

const FIXING = ["CodeFormerFixFaces", "CodeFormerFixFacesInVideo"]

class Sweep extends Panel {
  static kinds = ["CodeFormerFidelitySweep"]
  static key = "codeformer_sweep"
  static style = "codeformer-sweep"
  static height = 220

  constructor() {
    super()
    this.cells = element("div", { className: "cells" })
    this.status = element("output")
    this.root.append(this.cells, element("div", { className: "bar" }, this.status))
  }

  /** The node whose fidelity a click sets: Restore behind the same faces, else the only one of the graph that repairs faces. */
  get target() {
    const link = this.node.inputs.find((input) => input.name === "faces")?.link
    const source = link == null ? null : this.node.graph.getNodeById(linkOf(this.node.graph, link).origin_id)
    const [beside] = followFaces(source, ["CodeFormerRestore"])
    if (beside) return beside
    const repairing = this.node.graph.nodes.filter((node) => ["CodeFormerRestore", ...FIXING].includes(node.comfyClass))
    return repairing.length === 1 ? repairing[0] : null
  }

  /** The widget of a target that this face's fidelity is in, and its text with another one. */
  change(target, fidelity) {
    const value = (name) => target.widgets.find((widget) => widget.name === name)?.value
    const own = String(value("per_face") ?? "").split(/[\s,;]+/).filter(Boolean)
    const number = this.widget("number").value
    if (own.length < number || own.length < 2) return own.length ? ["per_face", String(fidelity)] : ["fidelity", fidelity]
    return ["per_face", own.map((entry, row) => (row === number - 1 ? fidelity : entry)).join(", ")]
  }

  choose(fidelity) {
    const target = this.target
    if (!target) return (this.status.value = say("noTarget"))
    const [name, value] = this.change(target, fidelity)
    if (target.inputs?.find((input) => input.name === name)?.link != null) return (this.status.value = say("targetLinked", { node: target.title }))
    this.chosen = fidelity
    this.write([target, name, value])
    this.status.value = say("written", { fidelity, node: target.title })
  }

  show() {
    const cells = this.output(Sweep.key)
    this.cells.replaceChildren(...(cells?.length ? cells.map((cell) => this.cell(cell)) : [say(cells ? "noFace" : "unswept")]))
    this.status.value = cells?.length ? say("sweepHint") : ""
  }

  cell({ image, fidelity, text }) {
    const cell = this.button(text, "", say("use", { fidelity }), () => this.choose(fidelity))
    cell.setAttribute("aria-pressed", this.chosen === fidelity)
    cell.append(element("img", { src: fileAddress(image), alt: "", draggable: false }), element("span", { textContent: text }))
    return cell
  }
}

registerPanel(Sweep, "sweep")
