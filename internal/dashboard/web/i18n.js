// What the page says, in the language that was chosen. The English text is the key.
import { look } from './state.js';

// t returns a text in that language, with {0} and so on replaced.
export function t(text, ...values) {
  const said = (look.get().lang === 'zh' && chinese[text]) || text;
  return values.length === 0 ? said : said.replace(/\{(\d)\}/g, (_, i) => String(values[i]));
}

const chinese = {
  // around
  'Fleet': '设备', 'Commands': '命令', 'Events': '事件', 'Health': '运行状况', 'Pages': '页面', 'Log out': '退出登录', 'Log in': '登录', 'Token': '令牌',
  'Theme: as the system': '主题：跟随系统', 'Theme: light': '主题：浅色', 'Theme: dark': '主题：深色', 'Skip to the page': '跳到正文', 'Loading…': '加载中…',
  'The gateway cannot be reached. Trying again; what you see is what was known last.': '无法连接网关，正在重试。页面显示的是最后已知的状态。',
  'This gateway needs a token. Whoever runs it has one: it is made with': '此网关需要令牌，请向管理员索取。生成令牌的命令：',
  'This is not one of the tokens that are configured.': '令牌不正确。',
  'The browser keeps a cookie for twelve hours that stands for the token, and not the token.': '浏览器只保存一个 12 小时内有效的会话 Cookie，不保存令牌本身。',
  'Cancel': '取消', 'Copied': '已复制', 'The browser does not let this page copy': '浏览器不允许此页面复制',
  '{0} s': '{0} 秒', '{0} min': '{0} 分钟', '{0} h': '{0} 小时', '{0} d': '{0} 天', '{0} ago': '{0}前', 'All': '全部',
  // fleet
  '{0} board': '{0} 台设备', '{0} boards': '{0} 台设备', 'Search': '搜索', 'Id, address, group, attribute': '编号、地址、分组、属性',
  'State': '状态', 'Group': '分组', 'Listener': '监听端口', 'Id': '编号', 'Address': '地址', 'Last seen': '最近活动', 'In': '接收', 'Out': '发送',
  'Bytes in': '接收字节', 'Bytes out': '发送字节', 'online': '在线', 'away': '离线', 'No board is like that': '没有符合条件的设备', 'Show all': '显示全部',
  'No board has connected yet': '还没有设备连接', 'Point one at the address of a listener, or try with one of ours:': '让设备连接到监听地址，或用自带的工具试一试：',
  // board
  'Back to the fleet': '返回设备列表', 'Kick': '断开', 'Kick {0}?': '断开 {0}？', 'Its connection ends now. It may come back at once.': '连接将立即断开，设备可以马上重新连接。',
  'The connection has been ended': '连接已断开', 'Identity': '身份', 'anonymous': '匿名', 'token': '令牌', 'service': '外部服务', 'certificate': '证书', 'Online for': '在线时长',
  '{0} messages, {1}': '{0} 条消息，{1}', 'Epoch': '会话序号', 'Last close': '上次断开', 'Groups': '分组', 'Frames': '帧', 'paused, {0} more': '已暂停，另有 {0} 条',
  'Hex': '十六进制', 'Go on': '继续', 'Pause': '暂停', 'Copy': '复制', 'in': '接收', 'out': '发送', 'not recorded': '未记录',
  '{0} frames went by too quickly to be shown': '有 {0} 帧来得太快，未能显示',
  'Connecting…': '正在连接…',
  'Nothing yet. Frames are shown from now on, both ways, as they go.': '暂无数据。从现在起，双向的帧会实时显示在这里。',
  'The rest was too long to be remembered.': '其余内容过长，未保留。',
  'Talk to it': '与设备通信', 'Type': '类型', 'Data': '数据', 'Data is': '数据格式', 'hexadecimal, sent as it is': '十六进制，原样发送', 'Answer is found by': '应答匹配方式',
  'what is usual': '默认', 'its key': '按键值', 'its type': '按类型', 'Wait for': '等待时间', 'Ask': '提问', 'Push': '推送', 'Leave as command': '存为命令',
  'It is away. A command waits for it.': '设备离线。命令会一直等到它上线。', 'Waiting…': '等待中…', 'no answer': '无应答', 'answer': '应答', 'after {0}': '用时 {0}',
  'The type is a number, as 16 or 0x10, or a name of the configuration.': '类型应为数字（如 16 或 0x10）或配置中的名称。',
  'This is not JSON. A text stands in double quotes.': '不是有效的 JSON，文本要加双引号。', 'This is not hexadecimal: two digits for each byte.': '不是有效的十六进制，每个字节两位数字。',
  'The message is on its way': '消息已发出', 'The command is on disk, and waits for the board': '命令已写入磁盘，等待设备执行',
  'None. What is left as a command waits on disk until the board has answered it.': '没有命令。命令保存在磁盘上，直到设备应答。',
  // commands
  '{0} waiting': '{0} 条等待中', 'No commands': '没有命令', 'A command waits on disk until its board has answered it. Leave one on the page of a board, or:': '命令保存在磁盘上，直到设备应答。可以在设备页面添加，或者：',
  'There are more than are shown. Choose a state, or look at one board.': '还有更多命令未显示。请选择状态，或查看单台设备。',
  'Board': '设备', 'Age': '时长', 'Attempts': '次数', 'Answer': '应答', 'What to do': '操作', 'Retry': '重试',
  'The command has been called back': '命令已撤回', 'The command waits again': '命令已重新排队',
  'queued': '排队', 'sent': '已发送', 'done': '完成', 'failed': '失败', 'expired': '过期', 'dead': '死信', 'cancelled': '已取消',
  // events
  'Kind': '种类', 'message': '消息', 'connections': '连接变化', 'command': '命令', 'connect': '上线', 'disconnect': '下线', 'Beginning': '起点', 'now': '现在',
  '5 minutes ago': '5 分钟前', 'an hour ago': '1 小时前', 'a day ago': '1 天前', 'as far as is kept': '全部保留的',
  '{0} events are not remembered any more': '有 {0} 个事件已不再保留',
  'Nothing yet. What happens is shown here as it does; the latest is at the top.': '暂无事件。新事件会实时显示，最新的在最上面。',
  // health
  'up for {0}': '已运行 {0}', 'Nothing can be kept at the moment:': '目前无法保存数据：', 'Boards online': '在线设备', 'of {0} known': '已知 {0} 台',
  'Messages per second': '每秒消息数', '{0} in, {1} out': '接收 {0}，发送 {1}', 'Questions per second': '每秒提问数', 'half within {0}, 99 % within {1}': '50 % 在 {0} 内，99 % 在 {1} 内',
  '{0} in all': '共 {0} 次', 'Commands waiting': '等待中的命令', 'nothing is kept': '不保存数据', 'Memory': '内存', 'of {0}': '上限 {0}', 'no limit is set': '未设上限',
  'On disk': '磁盘占用', '{0} free': '剩余 {0}', 'Connections': '连接数', 'open': '已建立', 'Time to an answer': '应答时间', 'half within': '50 %', '99 % within': '99 %',
  'Connections that ended, per minute': '每分钟断开的连接', 'ended': '断开', 'used': '已用', 'waiting': '等待', 'Listeners': '监听端口', 'Not let in yet': '等待准入', 'Messages': '消息',
  'Logins refused': '拒绝登录', 'Takeovers': '接管', 'Budgets': '缓冲占用', 'unfinished': '未收完', 'unsent': '未发出', 'Why connections have ended': '连接断开原因', 'None has yet.': '还没有。',
  'Reason': '原因', 'In the last hour': '最近一小时', 'Since {0}': '自 {0} 起',
};
