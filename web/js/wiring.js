// How the nodes of a graph are connected.

/** The kinds that take faces and give the same faces on, in the same order. */
const PASSING = ["CodeFormerFaceMask", "Reroute"]

/** A link by its id; older frontends keep links in a plain object. */
export const linkOf = (graph, id) => graph.links.get?.(id) ?? graph.links[id]

const linksOf = (node, slot) => (node.outputs?.[slot]?.links ?? []).map((id) => linkOf(node.graph, id))

/** The nodes of these kinds that take a node's faces, directly or through nodes that pass them on. */
export function followFaces(node, kinds) {
  const slot = node?.outputs?.findIndex((output) => output.type === "CODEFORMER_FACES" || node.type === "Reroute") ?? -1
  if (slot < 0 || !node.graph) return []
  return linksOf(node, slot).flatMap((link) => {
    const target = link && node.graph.getNodeById(link.target_id)
    if (!target) return []
    if (kinds.includes(target.comfyClass)) return [target]
    return PASSING.includes(target.type) ? followFaces(target, kinds) : []
  })
}
