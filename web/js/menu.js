// "Fix faces from here" in the menu of every node with an IMAGE output: adds Fix Faces with its loaders, wired to that output.

import { app } from "../../../scripts/app.js"
import { linkOf } from "./wiring.js"
import { say } from "./words.js"

const GAP = 50

/** A node of a kind that is in the graph already, else a new one at a position. */
function nodeOf(graph, kind, position) {
  return graph.nodes.find((node) => node.comfyClass === kind) ?? added(graph, kind, position)
}

function added(graph, kind, position) {
  const node = LiteGraph.createNode(kind)
  node.pos = position
  graph.add(node)
  return node
}

/** Right of a node and of everything that its outputs lead to directly. */
function roomBeside(node) {
  const followers = node.outputs.flatMap((output) => output.links ?? []).map((id) => {
    return node.graph.getNodeById(linkOf(node.graph, id).target_id)
  })
  return Math.max(...[node, ...followers.filter(Boolean)].map(({ pos, size }) => pos[0] + size[0])) + GAP
}

function fixFacesFrom(node, slot) {
  const { graph } = node
  app.canvas.emitBeforeChange()
  const left = roomBeside(node)
  const top = node.pos[1]
  const model = nodeOf(graph, "CodeFormerModelLoader", [left, top])
  const detector = nodeOf(graph, "CodeFormerFaceDetectorLoader", [left, top + 200])
  const beside = Math.max(left, ...[model, detector].filter(({ pos }) => pos[0] === left).map(({ size }) => left + size[0] + GAP))
  const fix = added(graph, "CodeFormerFixFaces", [beside, top])
  const preview = added(graph, "PreviewImage", [beside + fix.size[0] + GAP, top])
  node.connect(slot, fix, fix.findInputSlot("image"))
  model.connect(0, fix, fix.findInputSlot("model"))
  detector.connect(0, fix, fix.findInputSlot("detector"))
  fix.connect(0, preview, 0)
  app.canvas.selectNode(fix)
  app.canvas.emitAfterChange()
}

app.registerExtension({
  name: "codeformer.menu",
  getNodeMenuItems(node) {
    const slot = node.outputs?.findIndex((output) => output.type === "IMAGE") ?? -1
    return slot < 0 ? [] : [{ content: say("fixFromHere"), callback: () => fixFacesFrom(node, slot) }]
  },
})
